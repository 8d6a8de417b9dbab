"""Warns of published events that lack what an auditor will ask for."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping

from riskbus.bus.saying import harmless, say
from riskbus.completeness import REQUIREMENTS, missing
from riskbus.events import RiskEvent

_REPEAT_LOG_SECONDS = 60.0
"""At most one line in this time about each kind of event: it is a mistake in the program, not news."""


class EvidenceCheck:
    """Looks at events of the kinds that `REQUIREMENTS` names, counts the incomplete ones, and logs what they lack.

    Thread-safety: every method from any thread, also from signal handlers.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may publish while this thread counts
        self._incomplete: Counter[str] = Counter()
        self._quiet_until: dict[str, float] = {}

    @harmless
    def look_at(self, event_type: str, event: RiskEvent) -> None:
        """Count and log an event if it lacks something."""
        lacking = missing(event_type, event.data, event.metadata)
        if not lacking:
            return
        with self._lock:
            self._incomplete[event_type] += 1
            now = time.monotonic()
            if now < self._quiet_until.get(event_type, now):
                return
            self._quiet_until[event_type] = now + _REPEAT_LOG_SECONDS
        say(
            logging.WARNING,
            "%s of %s lacks %s, which an auditor will ask for (%s); riskbus.evidence makes complete events",
            event_type, event.event_id, ", ".join(lacking), REQUIREMENTS[event_type].rule,
        )  # fmt: skip

    def counts(self) -> Mapping[str, int]:
        """Return how many events were incomplete, by kind."""
        with self._lock:
            return dict(self._incomplete)
