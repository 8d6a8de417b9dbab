"""Reading segments, whether they stand as they were written or compressed.

A closed segment may be replaced by `<its name>.gz`. Both are there for a moment, and after a crash for longer; then the
uncompressed one counts. What counts is the bytes after decompression; a compressed segment is made of many gzip members
(RFC 1952), so that damage in one of them hides no good record in the next.
"""

import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import BinaryIO, TypeVar

from riskbus.format.names import COMPRESSED
from riskbus.store import posix

_BLOCK = 1 << 20
_GZIP = 31  # for zlib: the largest window, and gzip's header and trailer
_MEMBER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00"  # how every member begins: no name, no time
_Found = TypeVar("_Found")


def compressed_path(path: Path) -> Path:
    """Return the file in which the segment of this name stands when it is compressed."""
    return path.with_name(path.name + COMPRESSED)


def stored_size(path: Path) -> int:
    """Return how many bytes the segment of this name takes, compressed or not; raises OSError as the kernel does."""
    try:
        return posix.regular_status(path).st_size
    except FileNotFoundError:
        return posix.regular_status(compressed_path(path)).st_size


def open_plain(path: Path) -> BufferedReader:
    """Open a segment that is not compressed; raises FileNotFoundError if there is no such regular file, or OSError."""
    return os.fdopen(posix.open_regular(path), "rb")


def open_segment(path: Path) -> BinaryIO:
    """Open the segment of this name for reading from its start, compressed or not; only regular files count.

    A part that cannot be decompressed appears as one line that says so, which is no record; what follows is read on.
    The result cannot seek if the segment is compressed.

    Raises:
        OSError: as the kernel does, FileNotFoundError if neither file is there.
    """
    try:
        return open_plain(path)
    except FileNotFoundError:
        return open_compressed(compressed_path(path))


def open_compressed(file: Path) -> BinaryIO:
    """Open a compressed segment by its own name, as `open_segment` does."""
    return BufferedReader(_Members(open_plain(file)), _BLOCK)


def find_last(path: Path, pick: Callable[[bytes], _Found | None]) -> _Found | None:
    """Return what `pick` makes of the last line in a segment of which it makes anything, None if there is none.

    Reads backwards where the segment is not compressed, and all of it otherwise.
    """
    with open_segment(path) as file:
        if file.seekable():
            return next((found for line in lines_backwards(file) if (found := pick(line)) is not None), None)
        last = None
        for line in file:
            found = pick(line)
            last = last if found is None else found
        return last


def lines_backwards(file: BinaryIO, end: int | None = None) -> Iterator[bytes]:
    """Yield what stands between line feeds from the end of a file, or from the byte `end`, to its start.

    The first is what follows the last line feed, empty if nothing does. The file must be able to seek.
    """
    position = file.seek(0, os.SEEK_END) if end is None else end
    rest = b""
    while position:
        step = min(_BLOCK, position)
        position = file.seek(position - step)
        rest, *lines = (file.read(step) + rest).split(b"\n")
        yield from reversed(lines)
    yield rest


def _up_to_damage(inflate: "zlib._Decompress", data: bytes) -> bytes:
    """Return what can be decompressed of data, up to the very byte that cannot."""
    found = b""
    with suppress(zlib.error):
        for number in range(len(data)):
            found += inflate.decompress(data[number : number + 1])
    return found


class _Members(RawIOBase):
    """The decompressed bytes of a file of gzip members. Belongs to one thread."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self._ready = b""  # what was read beyond the last buffer
        self._begin_member(0)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: "bytearray | memoryview[int]") -> int:  # type: ignore[override] # typeshed's is wider
        data = self._ready or self._read(len(buffer))
        self._ready = data[len(buffer) :]
        data = data[: len(buffer)]
        buffer[: len(data)] = data
        return len(data)

    def _begin_member(self, start: int) -> None:
        self._start = self._file.seek(start)
        self._input = b""
        self._inflate = zlib.decompressobj(_GZIP)

    def _read(self, size: int) -> bytes:
        while True:
            if self._inflate.eof:
                self._begin_member(self._file.tell() - len(self._inflate.unused_data))
            self._input = self._input or self._file.read(_BLOCK)
            if not self._input:
                return self._end()
            before = self._inflate.copy()
            try:
                data = self._inflate.decompress(self._input, size)
            except zlib.error as error:
                return _up_to_damage(before, self._input) + self._skip(str(error))
            self._input = self._inflate.unconsumed_tail
            if data:
                return data

    def _end(self) -> bytes:
        return self._skip("it ends too early") if self._file.tell() > self._start else b""

    def _skip(self, reason: str) -> bytes:
        """Go to the member after the one that is damaged; return a line about it."""
        start = self._start
        self._begin_member(self._find_member(start + 1))
        return b"<gzip member at byte %d is damaged: %b>\n" % (start, reason.encode())

    def _find_member(self, start: int) -> int:
        self._file.seek(start)
        overlap = b""
        while block := self._file.read(_BLOCK):
            position = (overlap + block).find(_MEMBER)
            if position >= 0:
                return start - len(overlap) + position
            start += len(block)
            overlap = (overlap + block)[1 - len(_MEMBER) :]
        return start
