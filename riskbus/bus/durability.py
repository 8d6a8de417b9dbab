"""How long records take to become durable: each is measured, and what is measured is two numbers in a table."""

import sys
import threading
from collections.abc import Callable
from time import perf_counter_ns
from typing import TYPE_CHECKING

from riskbus.bus.objectives import Breaches
from riskbus.bus.tally import Histograms
from riskbus.bus_settings import LatencyPath
from riskbus.events import EventPriority
from riskbus.native import hot
from riskbus.runtime import Receipt

if TYPE_CHECKING:
    from riskbus.runtime.progress import Progress

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

    def oldest(self) -> int:
        """Return the number of the oldest record on its way, or more than any number."""
        return min((seq for times in self._times for seq in times[:1]), default=_NOT_WATCHING)


class DurabilityWatch:
    """Keeps the times of records on their way, and looks at the clock whenever the log has made some durable.

    The log calls back once for each batch, on its own thread. Only one thread at a time takes times out, so nothing is
    counted twice; and it looks again when it is done, so nothing stays behind that a publisher put in meanwhile, who
    was so slow that its record was durable before.

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
        self._progress: Progress | None = None
        self._beginning = threading.Lock()  # both are only ever tried, never waited for
        self._settling = threading.Lock()

    def attend(self, receipt: Receipt) -> None:
        """Begin to listen to the log; or take out a time that came late."""
        if self._beginning.acquire(blocking=False):
            self._progress = receipt.progress
            receipt.progress.listen(self._settle)
        self._settle()

    def _settle(self) -> None:
        progress = self._progress
        if progress is None or not self._settling.acquire(blocking=False):
            return  # whoever is at it looks again
        try:
            now_ns = perf_counter_ns()
            durable_seq = progress.durable_seq
            self.times.attention = durable_seq + 1  # before the look: who comes after it calls
            for priority in EventPriority:
                self._take_out(priority, durable_seq, now_ns)
        finally:
            self._settling.release()
        if self.times.oldest() <= progress.durable_seq:
            self._settle()

    def _take_out(self, priority: EventPriority, durable_seq: int, now_ns: int) -> None:
        latencies_ns = self.times.take(priority, durable_seq, now_ns)
        late = self._histograms.add(LatencyPath.DURABLE, priority, latencies_ns)
        if late:
            self._breaches.note(LatencyPath.DURABLE, priority, max(latencies_ns), late)
            self._on_breach()
