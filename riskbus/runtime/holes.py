"""Numbers that were claimed and never used: an exception was thrown in between, and the publisher vanished."""

from time import monotonic

from riskbus.runtime import control
from riskbus.runtime.feed import Feed
from riskbus.runtime.staging import CONTROL

_PATIENCE = 10.0  # seconds that a claimed number may stay empty; far above any scheduling delay


class Holes:
    """Declares the number that the writer waits for a hole, when that takes too long. The writer's thread only."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._since = monotonic()

    def watch(self, awaited: int, *, progressed: bool) -> None:
        """Look whether this number is a hole; `progressed` says whether records came since the last look."""
        now = monotonic()
        if progressed or self._feed.claimed <= awaited:
            self._since = now
        elif now - self._since > _PATIENCE:
            payload = control.gap_payload("a publisher vanished between claiming this number and using it", 1)
            self._feed.put(awaited, control.encode_now("AUDIT_GAP", payload), CONTROL)
            self._feed.declare(awaited)
