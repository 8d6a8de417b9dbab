"""The header of a staging ring: whose it is, and how far its writer came.

A writer that ends before its time, thread or process, leaves here what the next one of the same incarnation needs to go
on. The edge of the Merkle tree has two places, used in turn, and counts only if it is for as many records as `released`
says: a kill between the two stores leaves the older edge with the older count.
"""

import mmap
import struct

SIZE = 3 * 4096
MAGIC = b"RISKRNG3"
SPILLED = 17  # which word says how far the areas beside the ring reach
WAITING, LISTENING = 1, 2  # the values of `awaited`
_EDGES = (4096, 2 * 4096)  # where the two places for the tree's edge begin: size, length, hashes
_TEXT = 256  # where the text begins: incarnation, line feed, path of the log


class _Word:
    """A number in shared memory, stored and read in one step."""

    def __init__(self, index: int) -> None:
        self.index = index

    def __get__(self, header: "Header", _: type["Header"]) -> int:
        return header.words[self.index]

    def __set__(self, header: "Header", number: int) -> None:
        header.words[self.index] = number


class Header:
    """The header of a mapped ring.

    Attributes:
        memory, words: the map, as bytes and as 8-byte words.
        incarnation: whose it is.
        log_path: the log it belongs to.
        released: numbers below this one are durable, and their slots are free.
        device, inode: the log's directory; inode 0 if the volume was never reached.
        moved_ring, moved_seq, moved_to: the last move from another ring: its inode, the number there and one more, the
            number here. Records up to `moved_to` precede what is left in the rings from which they were moved here.
        segments: how many segments the writer has begun, or tried to.
        sealed: how many records the newest checkpoint covers.
        announced: numbers below this one went to the emergency stream.
        lost: how many events the log could not take; the publishers count them.
        declared: how many of those AUDIT_GAP records declare; the writer counts them.
        alive_ns: when the writer last gave a sign of life, by the machine's monotonic clock.
        stop_ns: when the writer must have ended, by the same clock; 0 while it must not.
        awaited: `WAITING` where someone waits for records to become durable, `LISTENING` where someone only wants to be
            told of what becomes durable anyway, else 0.
        overflowing: 1 where records wait outside shared memory.
        spilled: numbers below this one may wait in the areas beside the ring, and no others.
    """

    released = _Word(1)
    device = _Word(2)
    inode = _Word(3)
    _text_length = _Word(4)
    moved_ring = _Word(5)
    moved_seq = _Word(6)
    moved_to = _Word(7)
    segments = _Word(8)
    sealed = _Word(9)
    announced = _Word(10)
    lost = _Word(11)
    declared = _Word(12)
    alive_ns = _Word(13)
    stop_ns = _Word(14)
    awaited = _Word(15)
    overflowing = _Word(16)
    spilled = _Word(SPILLED)

    def __init__(self, memory: mmap.mmap) -> None:
        self.memory = memory
        self.words = memoryview(memory).cast("Q")
        text = memory[_TEXT : _TEXT + self._text_length].decode("utf-8", "replace")
        self.incarnation, _, self.log_path = text.partition("\n")

    @property
    def stream(self) -> tuple[int, int]:
        """Device and inode of the log's directory, inode 0 if the volume was never reached."""
        return self.device, self.inode

    @stream.setter
    def stream(self, stream: tuple[int, int]) -> None:
        if stream != self.stream:
            self.inode = 0  # while the device changes, the log's path counts
            self.device, self.inode = stream

    def release(self, below: int, edge: bytes = b"") -> None:
        """Free the slots of all numbers below this one, over which the tree has this edge. The writer only."""
        place = _EDGES[0] if self.words[_EDGES[0] >> 3] != self.released else _EDGES[1]
        self.words[(place >> 3) + 1] = len(edge)
        self.memory[place + 16 : place + 16 + len(edge)] = edge
        self.words[place >> 3] = below
        self.released = below

    @property
    def edge(self) -> bytes:
        """The edge of the tree over all numbers below `released`: hashes of 32 bytes, the largest subtree first."""
        if self.released == 0:
            return b""
        place = next(place for place in _EDGES if self.words[place >> 3] == self.released)
        return self.memory[place + 16 : place + 16 + self.words[(place >> 3) + 1]]


def new_header(incarnation: str, log_path: str) -> bytes:
    """Return how the memory of a new ring begins."""
    text = f"{incarnation}\n{log_path}".encode("utf-8", "replace")[: _EDGES[0] - _TEXT]
    words = [0] * (_TEXT // 8)
    words[0], words[4] = int.from_bytes(MAGIC, "little"), len(text)
    return struct.pack(f"={len(words)}Q", *words) + text


def whose(header: bytes) -> tuple[tuple[int, int], str] | None:
    """Return directory (device and inode) and path of the log that this header names, None if it is none."""
    if len(header) < SIZE or not header.startswith(MAGIC):
        return None
    words = struct.unpack_from(f"={_TEXT // 8}Q", header)
    text = header[_TEXT : _TEXT + words[4]].decode("utf-8", "replace")
    return (words[2], words[3]), text.partition("\n")[2]
