"""The publishers' side of the hand-over of records to the one writer.

Publishing never takes a lock. A publisher makes the body of its record, claims a number and puts the body into the
ring; claiming is a single operation of the interpreter, and `put` may be repeated, so both are safe from any thread,
from signal handlers and from finalizers. The writer takes records in the order of their numbers and waits for a number
that was claimed and not yet put down; so nothing of the program's own, such as the text of a payload, comes between.

    encode ──► claim ──► put          a record that an error keeps from being put down (no stack, no memory, or
                          │           KeyboardInterrupt) is stranded, and put down when the writer asks; a number
                        take          whose publisher vanished all the same is a hole, declared after a while
                          └──► in order of numbers ──► release, when durable

What has no slot in the ring, because the writer does not follow, waits in shared memory beside it; where there is no
room for that either, aside in private memory. How much may wait so, in each, is a setting.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count

from riskbus.events import EventPriority, RiskEvent, broken_event
from riskbus.format.record import MAX_BODY_BYTES, encode_event, encode_shortened
from riskbus.store.ring import FOOTPRINT, Ring

CONTROL = 4  # beside the four priorities: the kinds of record that are the log's own
CHECKPOINT = 5

_CRITICAL = EventPriority.CRITICAL

Staged = tuple[int, bytes, int]
"""A record on its way to the writer: number, body, and kind (its priority, CONTROL or CHECKPOINT)."""


class Staging:
    """Records between publishers and writer.

    Attributes:
        numbers: counts up.
        claim: returns the next of them; whoever calls it must `put` a record with that number. Any thread.
        attention: set where `append` must look twice: the log ended, or every record wakes the writer.
        limit: the largest number that surely has a slot of its own; `put` moves it on, until a hole is declared.
        overflow: bytes that may wait beside the ring, in shared memory and as many in private memory; may change.
        stranded: records whose number was claimed and which an error kept from being put down. Any thread appends.
    """

    __slots__ = (
        "_aside",
        "_aside_bytes",
        "_declared",
        "_forgotten",
        "_on_full",
        "attention",
        "claim",
        "limit",
        "numbers",
        "overflow",
        "ring",
        "stranded",
    )

    def __init__(self, ring: Ring, on_full: Callable[[], None], *, overflow: int) -> None:
        """Begin with number 0; `on_full` is called when as much waits as may, after each record that comes."""
        self.ring = ring
        self.overflow = overflow
        self.attention = False
        self.limit = ring.slots - 1
        self._on_full = on_full
        self.numbers = count()
        self.stranded: list[Staged] = []
        self._aside: dict[int, Staged] = {}
        self._aside_bytes = 0
        self._forgotten = 0  # numbers below this one no longer wait aside
        self._declared: set[int] = set()
        self.claim: Callable[[], int] = self.numbers.__next__

    @property
    def claimed(self) -> int:
        """How many numbers were claimed. Any thread; who waits for a number asks, so what is stranded comes now."""
        for staged in self.stranded.copy():
            with suppress(Exception):  # there is still no memory, or another thread was faster
                self.put_event(*staged)
                self.stranded.remove(staged)
        return int(repr(self.numbers)[6:-1])  # the only way to look at itertools.count without advancing it

    def put(self, seq: int, body: bytes, kind: int) -> int:
        """Put down the body for a claimed number. Any thread; doing it again changes nothing.

        Returns:
            The number that it has: another one, if the writer had declared the first a hole.
        """
        if seq in self._declared:
            seq = self.claim()
        if seq in self._aside or self.ring.has(seq):
            return seq
        released = self.ring.released  # looked at after the slot, which may have been released and used again meanwhile
        if seq < released:
            return seq
        limit = released + self.ring.slots - 1
        if not self._declared:
            self.limit = limit
        if seq > limit + self.overflow // FOOTPRINT or not self._share(seq, body, kind):
            self._put_aside(seq, body, kind)
        return seq

    def put_event(self, seq: int, body: bytes, kind: int) -> int:
        """Put down the body of an event, of any length. As `put`."""
        return self.put(seq, body if len(body) <= MAX_BODY_BYTES else encode_shortened(body), kind)

    def rescue(self, event: RiskEvent, error: BaseException) -> int:
        """Record what can be had of an event after an error, and return its number. Any thread.

        Raises:
            BaseException: The error was thrown in from outside, KeyboardInterrupt for example.
        """
        try:
            staged = encode_event(event), EventPriority(event.priority)
        except Exception as broken:  # noqa: BLE001 -- whatever was done to it
            staged = encode_event(broken_event(event, broken)), EventPriority.HIGH
        seq = self.stage(*staged)
        thrown_in = error.__cause__ if isinstance(error, Exception) else error  # orjson wraps what came in as_json
        if thrown_in is not None and not isinstance(thrown_in, Exception):
            raise thrown_in from None
        return seq

    def stage(self, body: bytes, kind: int) -> int:
        """Claim the next number and put down the body for it; return the number that it has. Any thread.

        Raises:
            BaseException: It was thrown in from outside, KeyboardInterrupt for example; the record is not lost.
        """
        seq = self.claim()
        try:
            return self.put(seq, body, kind)
        except BaseException as error:
            self.stranded.append((seq, body, kind))
            if isinstance(error, Exception):
                return seq
            raise

    def declare(self, seq: int) -> None:
        """Note that the writer has put a record down for a hole; its publisher, should it come, gets another number."""
        self._declared.add(seq)
        self.limit = -1  # from now on every record goes by `put`, which asks whether its number was declared

    def waiting_aside(self, seq: int, most: int) -> list[Staged]:
        """Return the records from this number on that wait aside, at most so many, up to the first gap."""
        self._forget_released()
        found: list[Staged] = []
        while len(found) < most and (staged := self._aside.get(seq)):
            found.append(staged)
            seq += 1
        return found

    def leftovers(self, beginning: int = 0) -> list[Staged]:
        """Return what was put down, from this number on, and is not durable."""
        numbers = range(max(beginning, self.ring.released), self.claimed)
        found: Iterator[Staged | None] = (self._aside.get(seq) or self.ring.get(seq) for seq in numbers)
        return [staged for staged in found if staged is not None]

    def _share(self, seq: int, body: bytes, kind: int) -> bool:
        with suppress(OSError):  # shared memory is full, or there is none: private memory has to do
            self.ring.accept(seq, body, kind)
            return True
        return False

    def _put_aside(self, seq: int, body: bytes, kind: int) -> None:
        if seq not in self._aside:
            self._aside_bytes += len(body)
        self._aside[seq] = (seq, body, kind)
        self.ring.overflowing = 1
        if self._aside_bytes > self.overflow:
            self._forget_released()
            if self._aside_bytes > self.overflow:
                self._on_full()

    def _forget_released(self) -> None:
        released = self.ring.released
        if released == self._forgotten:
            return  # at once: while the volume is gone, every event that is refused asks
        for seq in [seq for seq in list(self._aside) if seq < released]:
            dropped = self._aside.pop(seq, None)
            if dropped is not None:
                self._aside_bytes -= len(dropped[1])
        self._forgotten = released
        if not self._aside:
            self.ring.overflowing = 0
            if self._aside:  # put there meanwhile
                self.ring.overflowing = 1

    @property
    def full(self) -> bool:
        """Whether as much waits aside as may."""
        self._forget_released()
        return self._aside_bytes > self.overflow
