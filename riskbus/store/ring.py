"""The staging ring: accepted records in shared memory, where they survive the end of their process.

A ring is a file on a memory file system, mapped by one process, or by two: publishers in one, the writer in the other.
It has a header and slots of equal size; the body of the record with number `seq` belongs into slot `seq mod slots`, and
into no other. So two publishers never touch the same slot, nobody needs a lock, and the order of records is the order
of their numbers.

    header │ slot 0 │ slot 1 │ … │ annex 0 │ annex 1 │ …

A slot has room for the body of most records; what a longer one has beyond that is in the slot's annex, far away. The
closer together the slots are that are written one after the other, the more of them the processor has at hand.

Commit protocol. A slot is room for a body, and one 8-byte word at its end, of number, kind and length.

1. The publisher copies the body into the room, and into the annex.
2. Then it stores the word, one aligned 8-byte store. The record is accepted from here on.
3. The writer takes the slot when its word names the number it waits for.
4. When the record is durable, `released` in the header rises past it; then, and not before, the slot may be used
   for `seq + slots`.

A process that is killed between 1 and 2 leaves a word that names an older, released record: the new one was never
accepted. After 2 the record is complete, because stores become visible to others in an order that keeps the word last:
between threads of one interpreter by its lock; after the death of the process because the kernel came in between; to a
living writer in another process because x86-64 keeps the order of stores (Intel SDM volume 3, section 8.2.2). On other
processors a writer in another process is refused.

A body that is longer than room and annex is a file of its own beside the ring, renamed into place before its slot's
word, with the kind's `LONG` bit, says so. It is deleted when the record is durable. A number whose slot is not free yet
has one in an area beside the ring: see `riskbus.store.ring_overflow`.
"""

import errno
import mmap
from collections import deque
from contextlib import suppress
from itertools import chain
from pathlib import Path

from riskbus.store import posix
from riskbus.store.ring_header import SIZE, SPILLED, Header
from riskbus.store.ring_overflow import Overflow
from riskbus.store.ring_words import LONG, ROOM, SHIFT, UNIT, Held, kind_of, length_of, mark, seq_of

SLOT = 512
NEAR = SLOT - 8
"""Bytes of a body that are in its slot."""
ANNEX = ROOM - NEAR
FOOTPRINT = SLOT + ANNEX
"""Bytes of memory for each slot."""
_GLANCE = 64  # slots that are looked at together


class Ring(Header):
    """A mapped ring, owned by this process. `put` and `get` are safe from any thread, for different numbers.

    Attributes:
        slots: how many records it holds, a power of two.
        slot_words: the words of the slots.
        overflow: slots beyond those of the ring.
        descriptor: the file, and its lock; -1 after `give_up`.
        path: the file, None if the memory is private and ends with the process.
    """

    def __init__(self, memory: mmap.mmap, path: Path | None, descriptor: int) -> None:
        super().__init__(memory)
        self.descriptor = descriptor
        self._inode = path.stat().st_ino if path else 0
        self.path = path
        self.slots = (len(memory) - SIZE) // FOOTPRINT
        self._mask = self.slots - 1
        self._annexes = SIZE + self.slots * SLOT
        self.slot_words = self.words[SIZE + NEAR >> 3 : self._annexes >> 3 : SLOT >> 3]
        self._long: deque[int] = deque()  # what was taken and has a file
        self.overflow = Overflow(path, self.words, SPILLED)

    # -- records

    def put(self, seq: int, body: bytes, kind: int) -> None:
        """Accept a body of at most `ROOM` bytes. The slot's earlier record must have been released."""
        index, length = seq & self._mask, len(body)
        start, annex = SIZE + index * SLOT, self._annexes + index * ANNEX
        near, rest = body[:NEAR], body[NEAR:]
        self.memory[start : start + len(near)] = near
        self.memory[annex : annex + len(rest)] = rest
        self.slot_words[index] = seq * UNIT + mark(kind) + length

    def accept(self, seq: int, body: bytes, kind: int) -> None:
        """Accept a body of any length, wherever there is room. May make system calls, on memory.

        Raises:
            OSError: there is no room in shared memory, or the ring has no directory.
        """
        put = self.put if seq < self.released + self.slots else self.overflow.put
        if len(body) <= ROOM:
            put(seq, body, kind)
            return
        if self.path is None:
            raise OSError(errno.ENOENT, "the ring has no directory")
        temporary = Path(f"{self.path}.{seq}.part")
        temporary.write_bytes(body)
        temporary.rename(f"{self.path}.{seq}")
        put(seq, b"", kind | LONG)

    def has(self, seq: int) -> bool:
        """Return whether the record with this number is in a slot."""
        return seq_of(self.slot_words[seq & self._mask]) == seq or self.overflow.has(seq)

    def get(self, seq: int) -> Held | None:
        """Return the record with this number, or None if it is not in a slot, or no longer."""
        word = self.slot_words[seq & self._mask]
        if seq_of(word) == seq:
            return self._held(word, self._body(word))
        beyond = self.overflow.get(seq)
        return self._held(*beyond) if beyond else None

    def take(self, seq: int, most: int) -> list[tuple[int, bytes, int]]:
        """Return the records from this number on, at most so many, up to the first gap."""
        found = self._take_slots(seq, most)
        while len(found) < most and seq + len(found) < self.spilled:
            following, rest = seq + len(found), most - len(found)
            more = self._take_beyond(following, rest) or self._take_slots(following, rest)
            if not more:
                break
            found += more
        return found

    def _take_slots(self, seq: int, most: int) -> list[tuple[int, bytes, int]]:
        found: list[tuple[int, bytes, int]] = []
        while len(found) < most:
            first = (seq + len(found)) & self._mask
            count = min(_GLANCE, self.slots - first, most - len(found))
            some = self._take_some(seq + len(found), first, count)
            found += some
            if len(some) < count:
                break
        return found

    def _take_beyond(self, seq: int, most: int) -> list[tuple[int, bytes, int]]:
        found: list[tuple[int, bytes, int]] = []
        while len(found) < most and (beyond := self.overflow.get(seq + len(found))):
            held = self._held(*beyond)
            if held is None:
                break
            if kind_of(beyond[0]) & LONG:
                self._long.append(held.seq)
            found.append(held)
        return found

    def _take_some(self, seq: int, first: int, count: int) -> list[tuple[int, bytes, int]]:
        memory = self.memory
        found: list[tuple[int, bytes, int]] = []
        start = SIZE + first * SLOT
        for word in self.slot_words[first : first + count].tolist():  # in one call, as each read of a word costs
            if word >> SHIFT != seq + 1:
                break
            kind, length = kind_of(word), length_of(word)
            if kind & LONG or length > NEAR:
                held = self._held(word, self._body(word))
                if held is None:
                    break
                found.append(held)
                if kind & LONG:
                    self._long.append(seq)
            else:
                found.append((seq, memory[start : start + length], kind))
            seq += 1
            start += SLOT
        return found

    def release(self, below: int, edge: bytes = b"") -> None:
        """Free the slots of all numbers below this one, and what is longer than a slot. The writer only."""
        super().release(below, edge)
        self.overflow.release(below)
        while self._long and self._long[0] < below:
            self._drop_long(self._long.popleft())

    def held(self) -> list[Held]:
        """Return every record that was accepted and neither released nor handed on, in order. The owner only."""
        first = self.released
        in_slots = ((word, self._body(word)) for word in self.slot_words.tolist() if seq_of(word) >= first)
        found = (self._held(*one) for one in chain(in_slots, self.overflow.held(first)))
        return sorted(held for held in found if held is not None)

    def hand_on(self, held: Held, heir: "Ring", seq: int) -> None:
        """Move a record to another ring, under a new number, so that a kill at any moment leaves it in exactly one.

        The heir notes the move before it begins; `forget_moved` finishes one that was cut off.

        Raises:
            OSError: the heir has no room in shared memory; the record stays here.
        """
        if heir.path is None:
            raise OSError(errno.ENOENT, "the heir's memory ends with its process")
        heir.note_move(self._inode, held.seq, seq)
        heir.accept(seq, held.body, held.kind)
        self._forget(held.seq)

    def forget_moved(self, heirs: "list[Ring]") -> None:
        """Forget the record that one of these rings had already taken over when its process ended."""
        for heir in heirs:
            moved = heir.taken_from(self._inode)
            if moved is not None:
                self._forget(moved)

    def note_move(self, inode: int, seq: int, to: int) -> None:
        """Note that the record `seq` of the ring with this inode is about to become `to` here."""
        self.moved_seq = 0  # while the other two change, there is no note
        self.moved_ring, self.moved_to = inode, to
        self.moved_seq = seq + 1

    def taken_from(self, inode: int) -> int | None:
        """Return the number in the ring with this inode of the record that was moved here last, if it arrived."""
        seq, to = self.moved_seq - 1, self.moved_to
        if seq < 0 or self.moved_ring != inode:
            return None
        arrived = to < self.released or self.get(to) is not None
        return seq if arrived else None

    def remove(self) -> None:
        """Delete the files; the memory stays usable."""
        if self.path is None:
            return
        long: list[Path] = []
        with suppress(OSError):  # no glob: its pattern, which nobody asks for again, would stay in caches
            long = [path for path in self.path.parent.iterdir() if path.name.startswith(f"{self.path.name}.")]
        for path in [*long, self.path]:
            with suppress(OSError):
                path.unlink()

    def give_up(self) -> None:
        """End the ownership, so that another process can take the ring over; the memory stays usable."""
        posix.close(self.descriptor)
        self.descriptor = -1

    def _forget(self, seq: int) -> None:
        index = seq & self._mask
        word = self.slot_words[index]
        if seq_of(word) == seq:
            self.slot_words[index] = 0
        else:
            word = self.overflow.forget(seq)
        if kind_of(word) & LONG:
            self._drop_long(seq)

    def _drop_long(self, seq: int) -> None:
        with suppress(OSError):
            Path(f"{self.path}.{seq}").unlink()

    def _body(self, word: int) -> bytes:
        """Return what a slot and its annex hold, by the slot's word."""
        index, length = seq_of(word) & self._mask, length_of(word)
        start, annex = SIZE + index * SLOT, self._annexes + index * ANNEX
        near = self.memory[start : start + min(length, NEAR)]
        return near + self.memory[annex : annex + max(length - NEAR, 0)]

    def _held(self, word: int, body: bytes) -> Held | None:
        """Return the record that has this word and this in its slot; None if its file is gone."""
        seq, kind = seq_of(word), kind_of(word)
        if not kind & LONG:
            return Held(seq, body, kind)
        try:
            return Held(seq, Path(f"{self.path}.{seq}").read_bytes(), kind & ~LONG)
        except FileNotFoundError:  # it became durable meanwhile, or a kill left the ring half removed
            return None
