"""The staging ring: accepted records in shared memory, where they survive the end of their process.

A ring is a file on a memory file system, mapped by one process. It has a header and slots of equal size; the record
with number `seq` belongs into slot `seq mod slots`, and into no other. So two publishers never touch the same slot,
nobody needs a lock, and the order of records is the order of their numbers.

Commit protocol. A slot is one 8-byte word and room for a record:

    word = (seq + 1) << 24 | kind << 20 | length          0: never used

1. The publisher copies the record into the room.
2. Then it stores the word, one aligned 8-byte store. The record is accepted from here on.
3. The writer takes the slot when its word names the number it waits for.
4. When the record is durable, `released` in the header rises past it; then, and not before, the slot may be used
   for `seq + slots`.

A process that is killed between 1 and 2 leaves a word that names an older, released record: the new one was never
accepted. After 2 the record is complete, because a processor's stores become visible to others in an order that keeps
the word last: between threads of one interpreter by its lock, after the death of the process because the kernel
came in between. (A living reader in another process would need a barrier here on machines other than x86-64.)

A record that is longer than the room is a file of its own beside the ring, renamed into place before it counts.
"""

import fcntl
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from riskbus.store import posix

HEADER = 4096
SLOT = 1024
ROOM = SLOT - 8
_SHIFT = 24
_KIND_SHIFT = 20
_LENGTH_MASK = (1 << _KIND_SHIFT) - 1
_KIND_MASK = 0xF
_MAGIC = int.from_bytes(b"RISKRNG1", "little")
_SUFFIX = ".ring"
_TEXT = 128  # where the header's text begins: incarnation, line feed, path of the log
_RELEASED, _DEVICE, _INODE, _TEXT_LENGTH, _MOVED_RING, _MOVED_SEQ, _MOVED_TO = range(1, 8)  # words of the header


class Held(NamedTuple):
    """A record in a ring.

    Attributes:
        seq: its number.
        record: its bytes.
        kind: as it was staged.
    """

    seq: int
    record: bytes
    kind: int


class Ring:
    """A mapped ring, owned by this process. `put` and `get` are safe from any thread, for different numbers.

    Attributes:
        slots: how many records it holds.
        path: the file, None if the memory is private and ends with the process.
        incarnation: whose it is.
        log_path: the log it belongs to.
    """

    def __init__(self, memory: mmap.mmap, path: Path | None, lock: int) -> None:
        self._memory = memory
        self._words = memoryview(memory).cast("Q")
        self._lock = lock
        self._inode = path.stat().st_ino if path else 0
        self.path = path
        self.slots = (len(memory) - HEADER) // SLOT
        text = memory[_TEXT : _TEXT + self._words[_TEXT_LENGTH]].decode("utf-8", "replace")
        self.incarnation, _, self.log_path = text.partition("\n")

    @property
    def released(self) -> int:
        """Numbers below this one are durable, and their slots are free."""
        return self._words[_RELEASED]

    def release(self, below: int) -> None:
        """Free the slots of all numbers below this one. One thread only."""
        self._words[_RELEASED] = below

    @property
    def stream(self) -> tuple[int, int]:
        """Device and inode of the log's directory, (0, 0) if the volume was never reached."""
        return self._words[_DEVICE], self._words[_INODE]

    def belong_to(self, device: int, inode: int) -> None:
        """Note which directory the records are for."""
        self._words[_DEVICE], self._words[_INODE] = device, inode

    def put(self, seq: int, record: bytes, kind: int) -> None:
        """Accept a record of at most `ROOM` bytes. The slot's earlier record must have been released."""
        start = HEADER + seq % self.slots * SLOT
        length = len(record)
        self._memory[start + 8 : start + 8 + length] = record
        self._words[start >> 3] = (seq + 1) << _SHIFT | kind << _KIND_SHIFT | length

    def get(self, seq: int) -> Held | None:
        """Return the record with this number, or None if it is not in a slot."""
        start = HEADER + seq % self.slots * SLOT
        word = self._words[start >> 3]
        return self._read(start, word) if word >> _SHIFT == seq + 1 else None

    def put_long(self, seq: int, record: bytes, kind: int) -> None:
        """Accept a record that is longer than a slot; a private ring does nothing. Makes system calls, on memory.

        Raises:
            OSError: there is no room.
        """
        if self.path is not None:
            temporary = Path(f"{self.path}.{seq}.part")
            temporary.write_bytes(bytes([kind]) + record)
            temporary.rename(f"{self.path}.{seq}")

    def drop_long(self, seq: int) -> None:
        """Remove a record that is longer than a slot."""
        if self.path is not None:
            with suppress(OSError):
                Path(f"{self.path}.{seq}").unlink()

    def held(self) -> list[Held]:
        """Return every record that was accepted and neither overwritten nor handed on, in order, also released ones."""
        starts = range(HEADER, HEADER + self.slots * SLOT, SLOT)
        slots = [self._read(start, word) for start in starts if (word := self._words[start >> 3])]
        return sorted([*slots, *self._long_records()])

    def hand_on(self, held: Held, heir: "Ring", seq: int, record: bytes) -> None:
        """Move a record to another ring, under a new number, so that a kill at any moment leaves it in exactly one.

        The heir notes the move before it begins; `forget_moved` finishes one that was cut off.
        """
        heir.note_move(self._inode, held.seq, seq)
        if len(record) > ROOM:
            heir.put_long(seq, record, held.kind)
        else:
            heir.put(seq, record, held.kind)
        self._forget(held.seq)

    def forget_moved(self, heirs: "list[Ring]") -> None:
        """Forget the record that one of these rings had already taken over when its process ended."""
        for heir in heirs:
            moved = heir.taken_from(self._inode)
            if moved is not None:
                self._forget(moved)

    def note_move(self, inode: int, seq: int, to: int) -> None:
        """Note that the record `seq` of the ring with this inode is about to become `to` here."""
        self._words[_MOVED_SEQ] = 0  # while the other two change, there is no note
        self._words[_MOVED_RING], self._words[_MOVED_TO] = inode, to
        self._words[_MOVED_SEQ] = seq + 1

    @property
    def moved_to(self) -> int:
        """Records up to this number precede what is left in the rings from which they were moved here."""
        return self._words[_MOVED_TO]

    def taken_from(self, inode: int) -> int | None:
        """Return the number in the ring with this inode of the record that was moved here last, if it arrived."""
        seq, to = self._words[_MOVED_SEQ] - 1, self._words[_MOVED_TO]
        if seq < 0 or self._words[_MOVED_RING] != inode:
            return None
        arrived = to < self.released or self.get(to) is not None or Path(f"{self.path}.{to}").exists()
        return seq if arrived else None

    def remove(self) -> None:
        """Delete the files; the memory stays usable."""
        if self.path is not None:
            for path in [*self.path.parent.glob(f"{self.path.name}.*"), self.path]:
                with suppress(OSError):
                    path.unlink()

    def give_up(self) -> None:
        """End the ownership, so that another process can take the ring over; the memory stays usable."""
        posix.close(self._lock)
        self._lock = -1

    def _forget(self, seq: int) -> None:
        start = HEADER + seq % self.slots * SLOT
        if self._words[start >> 3] >> _SHIFT == seq + 1:
            self._words[start >> 3] = 0
        self.drop_long(seq)

    def _read(self, start: int, word: int) -> Held:
        record = self._memory[start + 8 : start + 8 + (word & _LENGTH_MASK)]
        return Held((word >> _SHIFT) - 1, record, word >> _KIND_SHIFT & _KIND_MASK)

    def _long_records(self) -> Iterator[Held]:
        if self.path is not None:
            for path in self.path.parent.glob(f"{self.path.name}.*[0-9]"):
                content = path.read_bytes()
                yield Held(int(path.suffix[1:]), content[1:], content[0])


def create_ring(directory: Path | None, incarnation: str, log_path: str, slots: int) -> Ring:
    """Make a ring in a directory; in private memory where that is None, or has no room, or refuses.

    The file appears under its name when it is complete and locked, never before.
    """
    size = HEADER + slots * SLOT
    header = _header(incarnation, log_path)
    if directory is not None:
        with suppress(OSError):
            return _create_shared(directory / f"riskbus-{incarnation}{_SUFFIX}", size, header)
    memory = mmap.mmap(-1, size)
    memory[: len(header)] = header
    return Ring(memory, None, -1)


def find_abandoned(directory: Path, stream: tuple[int, int], log_path: str) -> list[Ring]:
    """Take over every ring of a log whose process has ended, oldest first.

    A ring belongs to a log if it was for the same directory (device and inode), or, where its writer never reached
    the volume, for the same path.
    """
    paths = sorted(directory.glob(f"riskbus-*{_SUFFIX}"))
    found = [_take_over(path) for path in paths if _concerns(path, stream, log_path)]
    return [ring for ring in found if ring is not None]


def _concerns(path: Path, stream: tuple[int, int], log_path: str) -> bool:
    try:
        with path.open("rb") as file:
            header = file.read(HEADER)
    except OSError:
        return False
    if len(header) < HEADER or header[:8] != _MAGIC.to_bytes(8, "little"):
        return False
    words = struct.unpack_from(f"={_TEXT // 8}Q", header)
    own = (words[_DEVICE], words[_INODE])
    text = header[_TEXT : _TEXT + words[_TEXT_LENGTH]].decode("utf-8", "replace")
    return own == stream or (own == (0, 0) and text.partition("\n")[2] == log_path)


def _header(incarnation: str, log_path: str) -> bytes:
    text = f"{incarnation}\n{log_path}".encode("utf-8", "replace")[: HEADER - _TEXT]
    words = [0] * (_TEXT // 8)
    words[0], words[_TEXT_LENGTH] = _MAGIC, len(text)
    return struct.pack(f"={len(words)}Q", *words) + text


def _create_shared(path: Path, size: int, header: bytes) -> Ring:
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    descriptor = lock = -1
    try:
        descriptor = os.open(path.parent, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
        os.posix_fallocate(descriptor, 0, size)  # else a full memory file system would end the process with SIGBUS
        memory = mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)
        memory[: len(header)] = header
        # A lock belongs to an open file, and the map shares the one above with every forked child: so open it again.
        lock = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Only with a directory's descriptor does Python follow the link in /proc, as linkat(2) needs it.
        os.link(f"/proc/self/fd/{descriptor}", path.name, dst_dir_fd=directory, follow_symlinks=True)
    except OSError:
        posix.close(lock)
        raise
    finally:
        posix.close(descriptor)
        posix.close(directory)
    return Ring(memory, path, lock)


def _take_over(path: Path) -> Ring | None:
    lock = -1
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists():  # nobody was faster
            return Ring(mmap.mmap(lock, 0), path, lock)
    except (OSError, ValueError):  # its process is alive, or it is no ring
        pass
    posix.close(lock)
    return None
