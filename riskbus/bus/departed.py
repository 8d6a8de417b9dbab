"""Subscriptions that were taken back: what was counted of them stays counted."""

import threading
from dataclasses import replace

from riskbus.bus.subscription import SubscriptionStatistics

_MOST_NAMES = 1000
"""Names that are told apart: more than any program has, and a bound for one that makes names up."""

_OTHERS = "(others)"


class Departed:
    """Adds up the counts of departed subscriptions by name.

    Thread-safety: every method from any thread, also from signal handlers.

    Attributes:
        lock: Held while a subscription departs, so that nobody sees it on both sides, or on none.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a signal handler may publish while this thread counts
        self._by_name: dict[str, SubscriptionStatistics] = {}

    def add(self, counts: SubscriptionStatistics) -> None:
        """Take counts in."""
        with self.lock:
            known = counts.name in self._by_name or len(self._by_name) < _MOST_NAMES
            name = counts.name if known else _OTHERS
            before = self._by_name.get(name)
            self._by_name[name] = before.plus(counts) if before else replace(counts, name=name)

    def statistics(self) -> tuple[SubscriptionStatistics, ...]:
        """Return the counts so far, one entry for each name."""
        return tuple(self._by_name.values())
