"""Latencies, taken on hot paths without a lock and added up later.

Each thread appends plain numbers to lists of its own, and the bus' watch sorts them into buckets now and then: that
costs a third of doing it one by one, and no publisher pays for it. Memory is bounded, as a thread that is faster than
the watch sorts for itself, and no object of an event is kept.
"""

import threading
import weakref
from bisect import bisect_right
from typing import TYPE_CHECKING

from riskbus.bus_settings import LatencyPath
from riskbus.events import EventPriority
from riskbus.native import hot

if TYPE_CHECKING:
    from collections.abc import Callable

BUCKET_BOUNDS_NS: tuple[int, ...] = (
    *(digit * 10**exponent // 10 for exponent in range(3, 9) for digit in (10, 25, 50)),
    1_000_000_000,
)
"""Upper bounds of the latency buckets: 1, 2.5, 5 µs and so on up to 1 s, in nanoseconds."""

PENDING_LIMIT = 8192
"""Latencies of one thread, path and priority that wait to be sorted: 256 KiB, and what 32,000 a second leave behind
between two looks of the watch."""


class Latency:
    """A histogram of one path and priority.

    Attributes:
        buckets: Counts up to each bound of `BUCKET_BOUNDS_NS`, not cumulative; one more for what is above the last.
        total_ns: Sum of all latencies.
        late: How many were above the objective.
    """

    __slots__ = ("buckets", "late", "total_ns")

    def __init__(self, buckets: list[int] | None = None, total_ns: int = 0, late: int = 0) -> None:
        self.buckets = buckets or [0] * (len(BUCKET_BOUNDS_NS) + 1)
        self.total_ns = total_ns
        self.late = late

    def add(self, latencies_ns: list[int], objective_ns: int) -> int:
        """Count latencies; return how many of them are above the objective."""
        total_ns, late = _count_latencies(latencies_ns, BUCKET_BOUNDS_NS, self.buckets, objective_ns)
        self.total_ns += total_ns
        self.late += late
        return late

    def merge(self, other: "Latency") -> None:
        """Add another histogram to this one."""
        self.buckets = [mine + theirs for mine, theirs in zip(self.buckets, other.buckets, strict=True)]
        self.total_ns += other.total_ns
        self.late += other.late


def count_latencies(
    latencies_ns: list[int], bounds_ns: tuple[int, ...], buckets: list[int], objective_ns: int
) -> tuple[int, int]:
    """Add latencies to their buckets; return their sum, and how many are above the objective."""
    ordered = sorted(latencies_ns)
    start, count = 0, len(ordered)
    for index, bound in enumerate(bounds_ns):
        if start == count:
            break
        end = bisect_right(ordered, bound, start)
        buckets[index] += end - start
        start = end
    buckets[-1] += count - start
    return sum(ordered), count - bisect_right(ordered, objective_ns)


_count_latencies = count_latencies if hot is None else hot.count_latencies


Latencies = list[list[Latency]]
"""Histograms by path and priority."""


def no_latencies() -> Latencies:
    """Return empty histograms."""
    return [[Latency() for _ in EventPriority] for _ in LatencyPath]


class Tally:
    """Latencies of one thread that are not in a histogram yet. Only that thread appends.

    Attributes:
        pending: For each priority the lists of PUBLISH, HAND_OFF and HANDLER, in nanoseconds.
    """

    __slots__ = ("__weakref__", "pending")

    def __init__(self) -> None:
        self.pending: tuple[tuple[list[int], list[int], list[int]], ...] = tuple(([], [], []) for _ in EventPriority)


class Tallies(threading.local):
    """The calling thread's tally, as the attribute `tally`; made when the thread first asks.

    Args:
        histograms: Where the latencies end.
    """

    def __init__(self, histograms: "Histograms") -> None:
        self.tally = histograms.open_tally()


class Histograms:
    """All latencies of a bus.

    Thread-safety: every method from any thread, also from signal handlers.

    Attributes:
        objectives_ns: Objectives by path and priority; replaced while `lock` is held, after `fold`.
        lock: Held while latencies are moved.
        sources: Called for what was counted elsewhere since: path, priority, buckets, sum, and how many were late.
    """

    def __init__(self) -> None:
        self.objectives_ns: tuple[tuple[int, ...], ...] = ()
        self.lock = threading.RLock()  # a signal handler may publish while this thread folds
        self.sources: list[Callable[[], list[tuple[int, int, list[int], int, int]]]] = []
        self._folding = False
        self._latencies = no_latencies()
        self._of_threads: list[tuple[weakref.ref[threading.Thread], Tally]] = []

    def open_tally(self) -> Tally:
        """Return a tally for the calling thread, and fold those of threads that have ended."""
        tally = Tally()
        with self.lock:
            self._of_threads.append((weakref.ref(threading.current_thread()), tally))
            self.fold()
        return tally

    def relieve(self, tally: Tally) -> None:
        """Sort a thread's latencies into buckets, unless somebody else does so right now: then the next event does."""
        if self.lock.acquire(blocking=False):
            try:
                if not self._folding:
                    self._fold_one(tally)
            finally:
                self.lock.release()

    def fold(self) -> None:
        """Sort every thread's latencies into buckets."""
        with self.lock:
            if self._folding:
                return  # a signal handler in the middle of it: what is missing comes with the next look
            alive = []
            for reference, tally in self._of_threads:
                thread = reference()
                if thread is not None and thread.is_alive():
                    alive.append((reference, tally))
                self._fold_one(tally)
            self._of_threads = alive
            for source in self.sources:
                for path, priority, buckets, total_ns, late in source():
                    self._latencies[path][priority].merge(Latency(buckets, total_ns, late))

    def add(self, path: LatencyPath, priority: EventPriority, latencies_ns: list[int]) -> int:
        """Count latencies that belong to no thread; return how many of them are above the objective."""
        with self.lock:
            return self._latencies[path][priority].add(latencies_ns, self.objectives_ns[path][priority])

    def total(self) -> Latencies:
        """Return a copy of everything so far."""
        with self.lock:
            self.fold()
            total = no_latencies()
            for sums, parts in zip(total, self._latencies, strict=True):
                for priority, part in enumerate(parts):
                    sums[priority].merge(part)
            return total

    def _fold_one(self, tally: Tally) -> None:
        self._folding = True
        try:
            for priority, lists in enumerate(tally.pending):
                for path, pending in enumerate(lists):
                    if pending:
                        taken = pending[:]
                        del pending[: len(taken)]  # the owner may have appended meanwhile
                        self._latencies[path][priority].add(taken, self.objectives_ns[path][priority])
        finally:
            self._folding = False
