"""Counts and latencies, taken on hot paths without a lock and added up when somebody asks.

Each thread has a `Tally` of its own, so that an addition is exact and never waits. Memory is fixed: arrays of buckets,
however many events there are.
"""

import threading
import weakref
from bisect import bisect_left
from enum import IntEnum

from riskbus.events import EventPriority

_PRIORITIES = len(EventPriority)

BUCKET_BOUNDS_NS: tuple[int, ...] = (
    *(digit * 10**exponent // 10 for exponent in range(3, 9) for digit in (10, 25, 50)),
    1_000_000_000,
)
"""Upper bounds of the latency buckets: 1, 2.5, 5 µs and so on up to 1 s, in nanoseconds."""


class Path(IntEnum):
    """What a latency is the time of."""

    PUBLISH = 0
    """The call of `publish`, with the inline handlers that it ran."""
    HAND_OFF = 1
    """From the call of `publish` to the start of the handler."""
    HANDLER = 2
    """The handler itself."""


class Latency:
    """A histogram of one path and priority.

    Attributes:
        buckets: Counts up to each bound of `BUCKET_BOUNDS_NS`, not cumulative; one more for what is above the last.
        total_ns: Sum of all latencies.
        late: How many were above the objective.
    """

    __slots__ = ("buckets", "late", "total_ns")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKET_BOUNDS_NS) + 1)
        self.total_ns = 0
        self.late = 0

    def merge(self, other: "Latency") -> None:
        """Add another histogram to this one."""
        self.buckets = [mine + theirs for mine, theirs in zip(self.buckets, other.buckets, strict=True)]
        self.total_ns += other.total_ns
        self.late += other.late


class Tally:
    """What one thread counted.

    Attributes:
        published: Published events by priority.
        delivered: Handler calls that ended, by priority.
        latencies: Histograms by path and priority.
    """

    __slots__ = ("delivered", "latencies", "published")

    def __init__(self) -> None:
        self.published = [0] * _PRIORITIES
        self.delivered = [0] * _PRIORITIES
        self.latencies = [[Latency() for _ in EventPriority] for _ in Path]

    def record(self, path: Path, priority: EventPriority, nanoseconds: int, objective_ns: int) -> bool:
        """Count one latency; True when it is above the objective."""
        latency = self.latencies[path][priority]
        latency.buckets[bisect_left(BUCKET_BOUNDS_NS, nanoseconds)] += 1
        latency.total_ns += nanoseconds
        if nanoseconds <= objective_ns:
            return False
        latency.late += 1
        return True

    def merge(self, other: "Tally") -> None:
        """Add another tally to this one."""
        self.published = [mine + theirs for mine, theirs in zip(self.published, other.published, strict=True)]
        self.delivered = [mine + theirs for mine, theirs in zip(self.delivered, other.delivered, strict=True)]
        for mine_by_priority, theirs_by_priority in zip(self.latencies, other.latencies, strict=True):
            for mine, theirs in zip(mine_by_priority, theirs_by_priority, strict=True):
                mine.merge(theirs)


class Tallies:
    """The tallies of all threads.

    Thread-safety: every method from any thread.
    """

    def __init__(self) -> None:
        self._local = threading.local()
        self._lock = threading.Lock()
        self._of_threads: list[tuple[weakref.ref[threading.Thread], Tally]] = []
        self._of_ended_threads = Tally()

    def mine(self) -> Tally:
        """Return the calling thread's own tally."""
        try:
            tally: Tally = self._local.tally
        except AttributeError:
            tally = self._local.tally = Tally()
            self._register(tally)
        return tally

    def total(self) -> Tally:
        """Return the sum over all threads, ended ones included."""
        self.mine()  # before the lock is taken: a signal handler that publishes right here must not wait for it
        total = Tally()
        with self._lock:
            self._fold_ended_threads()
            total.merge(self._of_ended_threads)
            for _, tally in self._of_threads:
                total.merge(tally)
        return total

    def _register(self, tally: Tally) -> None:
        with self._lock:
            self._fold_ended_threads()
            self._of_threads.append((weakref.ref(threading.current_thread()), tally))

    def _fold_ended_threads(self) -> None:
        """Keep memory bounded by the threads alive, for callers that publish from a new thread each time."""
        alive = []
        for reference, tally in self._of_threads:
            thread = reference()
            if thread is not None and thread.is_alive():
                alive.append((reference, tally))
            else:
                self._of_ended_threads.merge(tally)
        self._of_threads = alive
