"""Reading a segment in pieces of whole lines, and checking these in several processes at once.

Memory: a piece is at most 2 MiB, and at most four for each process are on their way, however long the log is.
"""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from threading import active_count
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

from riskbus.format.blocks import MAX_LINE_BYTES, Block, scan
from riskbus.store import posix

_PIECE_BYTES = 1 << 19  # what a processor's cache holds; larger pieces are slower
WHOLE = 1 << 63
"""The end of a segment where nobody knows it, as that of a compressed one."""
_AHEAD = 4  # pieces on their way for each process


class Piece(NamedTuple):
    """A part of a segment.

    Attributes:
        byte: where it begins.
        data: whole lines; or, without a line feed at the end, what follows the last one; or, if it is shorter than
            `length`, the beginning of one line that is too long to be a record. None for whole lines that were only
            looked for: who needs them reads them.
        length: how many bytes of the segment it is.
    """

    byte: int
    data: bytes | None
    length: int


def read_pieces(file: BinaryIO, end: int, *, look_only: bool = False) -> Iterator[Piece]:
    """Yield a segment's pieces, up to the line that holds the byte before `end`.

    With `look_only`, whole lines come without their data, if the segment can seek.
    """
    byte = 0
    while byte < end:
        if look_only and (length := _whole_lines(file, byte, end)):
            yield Piece(byte, None, length)
            byte += length
            continue
        data = file.read(min(_PIECE_BYTES, end - byte))
        if not data:
            return
        if not data.endswith(b"\n"):
            data += file.readline(MAX_LINE_BYTES)
        lines = len(data) if data.endswith(b"\n") else data.rfind(b"\n") + 1
        if lines:
            yield Piece(byte, data[:lines], lines)
            byte += lines
        if lines < len(data):
            piece = _unfinished(file, byte, data[lines:])
            yield piece
            byte += piece.length


def _whole_lines(file: BinaryIO, byte: int, end: int) -> int:
    """Return the length of a piece of whole lines from here, 0 for one that has to be read to know."""
    line = b""
    if byte + _PIECE_BYTES < end:
        file.seek(byte + _PIECE_BYTES - 1)
        line = file.readline(MAX_LINE_BYTES)
    if line.endswith(b"\n"):
        return _PIECE_BYTES - 1 + len(line)
    file.seek(byte)
    return 0


def _unfinished(file: BinaryIO, byte: int, start: bytes) -> Piece:
    """Return the piece for a line that does not end within the longest one that there may be, or not at all."""
    length = len(start)
    while length >= MAX_LINE_BYTES and (more := file.readline(_PIECE_BYTES)):
        length += len(more)
        if more.endswith(b"\n"):
            return Piece(byte, start[:MAX_LINE_BYTES] + b"\n", length)
    return Piece(byte, start[:MAX_LINE_BYTES], length)


class Scanner:
    """Checks pieces in this process, or in so many others. Belongs to one thread; close it, or use it in `with`."""

    def __init__(self, jobs: int = 1) -> None:
        self._jobs = jobs
        # To fork is safe while there is one thread, and takes a millisecond; to spawn imports everything again.
        context = get_context("fork" if active_count() == 1 else "spawn")
        self._pool = ProcessPoolExecutor(jobs, context) if jobs > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def scan(self, file: BinaryIO, path: Path) -> Iterator[tuple[Piece, Block | None]]:
        """Yield every piece of a segment, in order, with what it holds if everything in it is in order.

        Args:
            file: the segment, from its start; what is appended meanwhile is left out, but for the end of a line.
            path: where it stands, if it can seek.
        """
        end = WHOLE
        if file.seekable():
            end = file.seek(0, os.SEEK_END)
            file.seek(0)
        if self._pool is None:
            for piece in read_pieces(file, end):
                yield piece, scan(piece.data or b"")
            return
        waiting: deque[tuple[Piece, Future[Block | None]]] = deque()
        for piece in read_pieces(file, end, look_only=file.seekable()):
            if piece.data is None:  # reading it there is cheaper than handing it over
                future = self._pool.submit(_scan_file, path, piece.byte, piece.length)
            else:
                future = self._pool.submit(scan, piece.data)
            waiting.append((piece, future))
            if len(waiting) >= self._jobs * _AHEAD:
                yield _result(*waiting.popleft())
        while waiting:
            yield _result(*waiting.popleft())


def _scan_file(path: Path, byte: int, length: int) -> Block | None:
    with os.fdopen(posix.open_regular(path), "rb", buffering=0) as file:
        file.seek(byte)
        return scan(file.read(length) or b"")


def _result(piece: Piece, future: "Future[Block | None]") -> tuple[Piece, Block | None]:
    try:
        return piece, future.result()
    except BrokenProcessPool as error:
        raise OSError("a process of the verification was killed; perhaps the machine has too little memory") from error
