"""Which subscriptions want events of which type."""

import threading

from riskbus.bus.subscription import Subscription

_REMEMBERED_TYPES = 1024
"""Event types whose subscribers are remembered: more than any program has, and a bound for one that makes names up."""


class Routes:
    """All subscriptions of a bus.

    A change replaces the tables and never alters them, so a publish that is under way goes on with those it saw.

    Thread-safety: every method from any thread; `interested_in` from signal handlers too.

    Attributes:
        subscriptions: In the order in which they were made.
    """

    def __init__(self, subscriptions: tuple[Subscription, ...] = ()) -> None:
        self._lock = threading.Lock()
        self.subscriptions = subscriptions
        self._by_type: dict[str, tuple[Subscription, ...]] = {}

    def add(self, subscription: Subscription) -> None:
        """Take a subscription in."""
        with self._lock:
            self.subscriptions = (*self.subscriptions, subscription)
            self._by_type = {}

    def remove(self, subscription: Subscription) -> None:
        """Take a subscription out; one that is not there changes nothing."""
        with self._lock:
            self.subscriptions = tuple(other for other in self.subscriptions if other is not subscription)
            self._by_type = {}

    def interested_in(self, event_type: str) -> tuple[Subscription, ...]:
        """Return who wants events of the type with this name."""
        by_type = self._by_type  # read before the subscriptions: what is remembered below is never newer than this
        found = by_type.get(event_type)
        if found is None:
            found = tuple(subscription for subscription in self.subscriptions if subscription.wants(event_type))
            if len(by_type) < _REMEMBERED_TYPES:
                by_type[event_type] = found
        return found
