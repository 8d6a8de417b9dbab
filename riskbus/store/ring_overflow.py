"""Room beyond the slots of a staging ring, in shared memory as well, for what comes faster than the writer can write.

A number that has no free slot in the ring has one here. Areas of 4 MiB, each a file beside the ring, hold 4,096 numbers
in a row; one is made when the first of its numbers comes, and deleted when the last is durable.

    riskbus-<incarnation>.ring          slots for seq mod slots
    riskbus-<incarnation>.ring.area4    slots for 16,384 … 20,479, one after the other

The commit protocol is that of the ring: first the body, then the word. A file that is shorter than an area holds
nothing: its maker was killed before it had reserved the memory.
"""

import errno
import mmap
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from riskbus.store import posix
from riskbus.store.ring_words import ROOM, UNIT, length_of, mark, seq_of

_SLOT = ROOM + 8
_NUMBERS_SHIFT = 12
_NUMBERS = 1 << _NUMBERS_SHIFT
_SIZE = _NUMBERS * _SLOT


class _Area:
    """Slots for numbers in a row."""

    __slots__ = ("memory", "words")

    def __init__(self, memory: mmap.mmap) -> None:
        self.memory = memory
        self.words = memoryview(memory).cast("Q")[ROOM >> 3 :: _SLOT >> 3]


class Overflow:
    """The areas of one ring. `put` and `get` are safe from any thread, for different numbers.

    Args:
        path: the ring's file, None if its memory is private: then there is no room here.
        words: the ring's header; the word `end` in it is this class's own.
        end: which word. Numbers from it on have no slot here; it never falls.
    """

    def __init__(self, path: Path | None, words: memoryview, end: int) -> None:
        self._path, self._words, self._end = path, words, end
        self._areas: dict[int, _Area | None] = {}  # None: there was no room for it, and nobody asks again

    def put(self, seq: int, body: bytes, kind: int) -> None:
        """Accept a body of at most `ROOM` bytes. Now and then makes system calls, on memory.

        Raises:
            OSError: there is no room, or the ring has no directory.
        """
        area = self._areas.get(seq >> _NUMBERS_SHIFT) or self._make(seq >> _NUMBERS_SHIFT)
        index, length = seq & _NUMBERS - 1, len(body)
        start = index * _SLOT
        area.memory[start : start + length] = body
        area.words[index] = seq * UNIT + mark(kind) + length
        if seq >= self._words[self._end]:  # whoever made the area was interrupted before it said so
            self._extend()

    def has(self, seq: int) -> bool:
        """Return whether the record with this number is here. Only of the process that publishes."""
        area = self._areas.get(seq >> _NUMBERS_SHIFT)
        return area is not None and seq_of(area.words[seq & _NUMBERS - 1]) == seq

    def get(self, seq: int) -> tuple[int, bytes] | None:
        """Return word and body of the record with this number, or None if it is not here."""
        if seq >= self._words[self._end]:
            return None
        area = self._area(seq >> _NUMBERS_SHIFT)
        word = area.words[seq & _NUMBERS - 1] if area else 0
        if area is None or seq_of(word) != seq:
            return None
        start = (seq & _NUMBERS - 1) * _SLOT
        return word, area.memory[start : start + length_of(word)]

    def held(self, beginning: int) -> Iterator[tuple[int, bytes]]:
        """Yield word and body of what is here, from this number on."""
        first = (beginning + 1) * UNIT
        for index in range(beginning >> _NUMBERS_SHIFT, self._words[self._end] >> _NUMBERS_SHIFT):
            area = self._area(index)
            for word in area.words.tolist() if area else ():
                found = self.get(seq_of(word)) if word >= first else None
                if found is not None:
                    yield found

    def forget(self, seq: int) -> int:
        """Let a record be here no longer, and return the word that it had; 0 if it was not here."""
        found, area = self.get(seq), self._areas.get(seq >> _NUMBERS_SHIFT)
        if found is None or area is None:
            return 0
        area.words[seq & _NUMBERS - 1] = 0
        return found[0]

    def release(self, below: int) -> None:
        """Delete the areas all of whose numbers are below this one. Any process that has the ring, at any time."""
        for index in [index for index in tuple(self._areas) if index + 1 << _NUMBERS_SHIFT <= below]:
            self._areas.pop(index, None)
            with suppress(OSError):  # the other process was faster
                self._file(index).unlink()

    def _area(self, index: int) -> _Area | None:
        """Return an area, which another process may have made; None if there is none."""
        if index not in self._areas:
            with suppress(OSError, ValueError):  # ValueError: the file is too short
                return self._areas.setdefault(index, self._map(index, os.O_RDWR))
        return self._areas.get(index)

    def _make(self, index: int) -> _Area:
        # Several threads may come here at once, or a signal handler: all of them make the same file.
        if self._path is None:
            raise OSError(errno.ENOENT, "the ring has no directory")
        made = None
        if index not in self._areas:
            with suppress(OSError):
                made = self._map(index, os.O_RDWR | os.O_CREAT)
        area = self._areas.setdefault(index, made)
        if area is None:
            raise OSError(errno.ENOSPC, "there is no room beside the ring")
        self._extend()
        return area

    def _extend(self) -> None:
        while (end := max(tuple(self._areas)) + 1 << _NUMBERS_SHIFT) > self._words[self._end]:
            self._words[self._end] = end  # until it stays so: another thread may have stored a smaller one over it

    def _map(self, index: int, flags: int) -> _Area:
        descriptor = os.open(self._file(index), flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if flags & os.O_CREAT:
                os.posix_fallocate(descriptor, 0, _SIZE)  # else a full memory file system would end it with SIGBUS
            return _Area(mmap.mmap(descriptor, _SIZE))
        finally:
            posix.close(descriptor)

    def _file(self, index: int) -> Path:
        return Path(f"{self._path}.area{index}")
