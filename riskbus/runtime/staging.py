"""The hand-over of records from any thread to the one writer.

Publishing never takes a lock. A publisher claims a number, encodes its record with it and puts it down; both steps are
single operations of the interpreter, so they are safe from any thread, from signal handlers and from finalizers. The
writer takes records in the order of their numbers and waits for a number that was claimed and not yet put down.

    claim ──► encode ──► put          a number whose publisher vanished between claim and put (killed by an
                          │           asynchronous exception) is a hole; the writer declares it after a while
                        take ──► in order of numbers
"""

from _thread import allocate_lock
from collections import deque
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

from riskbus.format.record import renumber

if TYPE_CHECKING:
    from collections.abc import Callable

CONTROL = 4  # beside the four priorities: the kinds of record that are the log's own
CHECKPOINT = 5

_BATCH = 4096  # records; enough for one fdatasync, few enough to hold little memory between two
_CAPACITY = 65_536  # records that wait when the writer does not come; 1.3 s of 50,000 a second


Staged = tuple[int, bytes, int]
"""A record on its way to the writer: number, bytes, and kind (its priority, CONTROL or CHECKPOINT).

A plain tuple, because making one is no call, so no signal handler can run between encoding and `put`.
"""


class Staging:
    """Records between publishers and writer.

    Attributes:
        claim: returns the next number; whoever calls it must `put` a record with that number. Any thread.
        put: puts down a `Staged`. Any thread.
        refusing: set where no more records are accepted.
    """

    def __init__(self) -> None:
        self._numbers = count()
        self._waiting: deque[Staged] = deque()
        self._early: dict[int, Staged] = {}
        self._signal = allocate_lock()
        self._signal.acquire()
        self.next_seq = 0
        self.refusing = False
        self.claim: Callable[[], int] = self._numbers.__next__
        self.put: Callable[[Staged], None] = self._waiting.append

    @property
    def claimed(self) -> int:
        """How many numbers were claimed. Any thread."""
        return int(repr(self._numbers)[6:-1])  # the only way to look at itertools.count without advancing it

    @property
    def crowded(self) -> bool:
        """Whether the writer is too far behind to accept more. Any thread."""
        return len(self._waiting) > _CAPACITY

    @property
    def hole(self) -> int | None:
        """The number that later records wait for, if there is one. Writer only."""
        return self.next_seq if self._early else None

    def take(self) -> list[Staged]:
        """Return the next records in order of their numbers. Writer only."""
        batch: list[Staged] = []
        for _ in range(min(len(self._waiting), _BATCH)):
            staged = self._waiting.popleft()
            seq, record, kind = staged
            if seq == self.next_seq:
                batch.append(staged)
                self.next_seq += 1
            elif seq > self.next_seq:
                self._early[seq] = staged
            else:  # its number was declared a hole: it gets a new one
                seq = self.claim()
                self.put((seq, renumber(seq, record), kind))
            while self.next_seq in self._early:
                batch.append(self._early.pop(self.next_seq))
                self.next_seq += 1
        return batch

    def leftovers(self) -> list[Staged]:
        """Return what was put down and never taken. After the writer's end."""
        return sorted([*self._early.values(), *list(self._waiting)])

    def wake(self) -> None:
        """End the writer's wait. Any thread."""
        with suppress(RuntimeError):  # it was awake
            self._signal.release()

    def wait(self, seconds: float) -> None:
        """Wait until someone calls `wake`, or for so long. Writer only."""
        self._signal.acquire(timeout=seconds)
