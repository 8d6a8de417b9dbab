"""How long records take to become durable: each is measured, and what is measured is two numbers in a table."""

import sys
import threading
from bisect import bisect_right
from collections.abc import Callable
from time import perf_counter_ns

from riskbus.bus.objectives import Breaches
from riskbus.bus.tally import Histograms
from riskbus.bus_settings import LatencyPath
from riskbus.events import EventPriority
from riskbus.runtime import Receipt

_NOT_WATCHING = sys.maxsize


class DurabilityWatch:
    """Keeps the times of records on their way, and looks at the clock whenever the log has made some durable.

    The log calls back once for each batch, on its own thread. Taking a number out of a table happens once, whoever does
    it, so nothing is counted twice: neither by a publisher that was so slow that its record was durable before it could
    put the time in, nor by a second call.

    Memory is bounded by what the log itself keeps while its volume is gone.

    Thread-safety: every method from any thread, also from signal handlers.

    Args:
        histograms: Where latencies are counted.
        breaches: Told of those above the objective.
        on_breach: Called then.

    Attributes:
        times_ns: By priority, for each number on its way when it was published.
        attention: Who puts in a number below this one has to call `attend`.
    """

    def __init__(self, histograms: Histograms, breaches: Breaches, on_breach: Callable[[], None]) -> None:
        self.times_ns: tuple[dict[int, int], ...] = tuple({} for _ in EventPriority)
        self.attention = _NOT_WATCHING
        self._histograms = histograms
        self._breaches = breaches
        self._on_breach = on_breach
        self._next = 0
        self._settling = threading.Lock()  # only ever tried, never waited for

    def attend(self, receipt: Receipt, priority: EventPriority) -> None:
        """Begin to watch; or take out a time that came late, or that belongs to a record which the log refused."""
        if receipt.seq < self._next:
            published_ns = self.times_ns[priority].pop(receipt.seq, 0)
            if published_ns and receipt.seq >= 0:
                self._count(priority, [perf_counter_ns() - published_ns])
        else:
            self._watch(receipt, receipt.seq)

    def _watch(self, receipt: Receipt, seq: int) -> None:
        self.attention = self._next
        receipt.progress.when_settled(seq, lambda: self._settle(receipt), hurry=False)

    def _settle(self, receipt: Receipt) -> None:
        if not self._settling.acquire(blocking=False):
            return  # whoever is at it watches for what comes next
        try:
            now_ns = perf_counter_ns()
            durable_seq = receipt.progress.durable_seq
            self._next = durable_seq + 1
            self.attention = self._next
            for priority in EventPriority:
                self._take_out(priority, durable_seq, now_ns)
            self.attention = _NOT_WATCHING  # from here on publishers call, so what comes after the next line is seen
            more = any(self.times_ns) and not receipt.progress.ended
        finally:
            self._settling.release()
        if more:
            self._watch(receipt, durable_seq + 1)

    def _take_out(self, priority: EventPriority, durable_seq: int, now_ns: int) -> None:
        times_ns = self.times_ns[priority]
        if times_ns:
            published_ns = [times_ns.pop(seq, 0) for seq in list(times_ns) if seq <= durable_seq]
            self._count(priority, [now_ns - each for each in published_ns if each])

    def _count(self, priority: EventPriority, latencies_ns: list[int]) -> None:
        if latencies_ns:
            self._histograms.add(LatencyPath.DURABLE, priority, latencies_ns)  # sorts them
            objective_ns = self._histograms.objectives_ns[LatencyPath.DURABLE][priority]
            if latencies_ns[-1] > objective_ns:
                late = len(latencies_ns) - bisect_right(latencies_ns, objective_ns)
                self._breaches.note(LatencyPath.DURABLE, priority, latencies_ns[-1], late)
                self._on_breach()
