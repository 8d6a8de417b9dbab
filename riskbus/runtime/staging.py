"""The hand-over of records from any thread to the one writer.

Publishing never takes a lock. A publisher claims a number, encodes its record with it and puts it into the ring;
claiming is a single operation of the interpreter, and `put` may be repeated, so both are safe from any thread, from
signal handlers and from finalizers. The writer takes records in the order of their numbers and waits for a number that
was claimed and not yet put down.

    claim ──► encode ──► put          a number whose publisher vanished between claim and put (killed by an
                          │           asynchronous exception) is a hole; the writer declares it after a while
                        take ──► in order of numbers ──► release, when durable

What does not fit into the ring, because it is long or the volume has been gone for long, is kept in private memory.
"""

from _thread import allocate_lock
from collections import deque
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

from riskbus.format.record import renumber
from riskbus.store.ring import ROOM, Ring

if TYPE_CHECKING:
    from collections.abc import Callable

CONTROL = 4  # beside the four priorities: the kinds of record that are the log's own
CHECKPOINT = 5

_BATCH = 4096  # records; enough for one fdatasync, few enough to hold little memory between two
_CAPACITY = 65_536  # records that wait when the writer does not come; 1.3 s of 50,000 a second

Staged = tuple[int, bytes, int]
"""A record on its way to the writer: number, bytes, and kind (its priority, CONTROL or CHECKPOINT)."""


class Staging:
    """Records between publishers and writer.

    Attributes:
        claim: returns the next number; whoever calls it must `put` a record with that number. Any thread.
        refusing: set where no more records are accepted.
        next_seq: the number that the writer takes next.
    """

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self._numbers = count()
        self._released = 0
        self._aside: dict[int, Staged] = {}
        self._declared: set[int] = set()
        self._long: deque[int] = deque()
        self._signal = allocate_lock()
        self._signal.acquire()
        self.next_seq = 0
        self.refusing = False
        self.claim: Callable[[], int] = self._numbers.__next__

    @property
    def claimed(self) -> int:
        """How many numbers were claimed. Any thread."""
        return int(repr(self._numbers)[6:-1])  # the only way to look at itertools.count without advancing it

    @property
    def room(self) -> int:
        """How many records the ring can take before the next release. Writer only."""
        return self.ring.slots - (self.claimed - self._released)

    @property
    def hole(self) -> int | None:
        """The number that the writer waits for, if one was claimed. Writer only."""
        return self.next_seq if self.claimed > self.next_seq else None

    def put(self, seq: int, record: bytes, kind: int) -> None:
        """Put down the record for a claimed number. Any thread; doing it again changes nothing."""
        if len(record) > ROOM or seq - self._released >= self.ring.slots or self._declared:
            self._put_aside(seq, record, kind)
        else:
            self.ring.put(seq, record, kind)

    def declare(self, seq: int, record: bytes, kind: int) -> None:
        """Put down a record for a hole; its publisher, should it come back, gets another number. Writer only."""
        self._declared.add(seq)
        self._aside[seq] = (seq, record, kind)

    def take(self) -> list[Staged]:
        """Return the next records in order of their numbers. Writer only."""
        batch: list[Staged] = []
        for seq in range(self.next_seq, self.next_seq + _BATCH):
            staged = self.ring.get(seq) or self._aside.pop(seq, None)
            if staged is None:
                break
            batch.append(staged)
        self.next_seq += len(batch)
        return batch

    def release(self, below: int) -> None:
        """Declare all numbers below this one durable, so that their place is free. Writer only."""
        self._released = below
        self.ring.release(below)
        while self._long and self._long[0] < below:
            self.ring.drop_long(self._long.popleft())

    def leftovers(self) -> list[Staged]:
        """Return what was put down and never taken. After the writer's end, or when it hangs."""
        found = (self.ring.get(seq) or self._aside.get(seq) for seq in range(self.next_seq, self.claimed))
        return [staged for staged in found if staged is not None]

    def wake(self) -> None:
        """End the writer's wait. Any thread."""
        with suppress(RuntimeError):  # it was awake
            self._signal.release()

    def wait(self, seconds: float) -> None:
        """Wait until someone calls `wake`, or for so long. Writer only."""
        self._signal.acquire(timeout=seconds)

    def _put_aside(self, seq: int, record: bytes, kind: int) -> None:
        if seq in self._declared:
            seq = self.claim()
            record = renumber(seq, record)
        if len(record) <= ROOM and seq - self._released < self.ring.slots:
            self.ring.put(seq, record, kind)
            return
        if seq - self.next_seq > _CAPACITY:
            self.refusing = True  # the writer does not come; it clears this when it does
        if len(record) > ROOM and kind < CONTROL:  # control records belong to their incarnation and end with it
            with suppress(OSError):  # shared memory is full: private memory has to do
                self.ring.put_long(seq, record, kind)
                self._long.append(seq)
        self._aside[seq] = (seq, record, kind)
