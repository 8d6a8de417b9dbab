"""How long records take to become durable: each is measured, and what is measured is two numbers in a table."""

import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter_ns

from riskbus.bus.objectives import Breaches
from riskbus.bus.tally import Histograms
from riskbus.bus_settings import LatencyPath
from riskbus.events import EventPriority
from riskbus.native import hot
from riskbus.runtime import Receipt
from riskbus.runtime.progress import Moment

_NOT_WATCHING = sys.maxsize


class Times:
    """When the records on their way were published, by priority, oldest first.

    They are nearly in order: only a thread that stopped between claiming its number and putting it in here comes late.

    Thread-safety: `put` from any thread and from signal handlers; one thread at a time may `take`.

    Attributes:
        attention: Who puts in a number below this one has to call `DurabilityWatch.attend`.
    """

    def __init__(self) -> None:
        self.attention = _NOT_WATCHING
        self._times: tuple[list[int], ...] = tuple([] for _ in EventPriority)

    def put(self, priority: EventPriority, seq: int, published_ns: int) -> bool:
        """Put in when a record was published; return whether that needs attention."""
        self._times[priority].extend((seq, published_ns))  # in one step
        return seq < self.attention

    def take(self, priority: EventPriority, durable_seq: int, now_ns: int) -> list[int]:
        """Take out what is durable; return how long ago it was published, in nanoseconds."""
        times = self._times[priority]
        latencies_ns = []
        for seq, published_ns in zip(times[::2], times[1::2], strict=False):
            if seq > durable_seq:
                break
            latencies_ns.append(now_ns - published_ns)
        del times[: 2 * len(latencies_ns)]  # publishers append meanwhile
        return latencies_ns


class DurabilityWatch:
    """Keeps the times of records on their way, and hears from the log which of them were durable when.

    Only one thread at a time takes times out, so nothing is counted twice; and whoever is at it goes on until nobody
    has added a moment, so nothing stays behind that a publisher put in late.

    Memory is bounded by what the log itself keeps while its volume is gone.

    Thread-safety: every method from any thread, also from signal handlers.

    Args:
        histograms: Where latencies are counted.
        breaches: Told of those above the objective.
        on_breach: Called then.

    Attributes:
        times: Of the records on their way.
    """

    def __init__(self, histograms: Histograms, breaches: Breaches, on_breach: Callable[[], None]) -> None:
        self.times: Times = Times() if hot is None else hot.Times()
        self._histograms = histograms
        self._breaches = breaches
        self._on_breach = on_breach
        self._moments: deque[Moment] = deque()
        self._beginning = threading.Lock()  # both are only ever tried, never waited for
        self._settling = threading.Lock()

    def attend(self, receipt: Receipt) -> None:
        """Begin to listen to the log; or take out a time that came late."""
        released = self.times.attention
        if self._beginning.acquire(blocking=False):
            receipt.progress.listen(self._settle)
            released = receipt.progress.durable_seq + 1
        if released != _NOT_WATCHING:  # else another thread is at the lines above
            self._settle([(released, perf_counter_ns())])

    def _settle(self, moments: Sequence[Moment]) -> None:
        self._moments.extend(moments)
        while self._moments and self._settling.acquire(blocking=False):
            try:
                while self._moments:
                    self._take_out(*self._moments.popleft())
            finally:
                self._settling.release()

    def _take_out(self, released: int, at_ns: int) -> None:
        if released > self.times.attention or self.times.attention == _NOT_WATCHING:
            self.times.attention = released
        for priority in EventPriority:
            latencies_ns = self.times.take(priority, released - 1, at_ns)
            late = self._histograms.add(LatencyPath.DURABLE, priority, latencies_ns)
            if late:
                self._breaches.note(LatencyPath.DURABLE, priority, max(latencies_ns), late)
                self._on_breach()
