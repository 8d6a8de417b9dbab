"""What is added to a directory's segments, as it comes: over rotations, restarts, several processes and failures.

Nothing is held open: each look lists the directory and reads what grew. So it makes no difference whether a segment was
compressed, pruned or replaced meanwhile, or whether the directory is there at all.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from riskbus.errors import FormatError
from riskbus.format.names import SegmentName
from riskbus.format.selection import Entry, read_entry
from riskbus.store.history import Extent, Notice
from riskbus.store.reading import compressed_path, lines_backwards, open_plain, open_segment
from riskbus.store.stream import list_segments


class Follower:
    """Reads a directory's segments from wherever it was before. Belongs to one thread.

    Args:
        places: directories of the segments, which need not exist yet, each with the stem of those that are wanted
            there, None for all; a log has two if there is a second directory.
        notice: told what is not as it should be.
    """

    def __init__(self, places: list[tuple[Path, str | None]], notice: Notice) -> None:
        self._places = places
        self._notice = notice
        self._positions: dict[SegmentName, int] = {}
        self._done: set[SegmentName] = set()
        self._next: dict[tuple[str, str], int] = {}  # the number that an incarnation goes on with

    def skip(self) -> list[Extent]:
        """Go to the end of what is there now, and return that; raises OSError if it cannot be read."""
        extents = []
        found = self._find()
        for name, after in _with_successors(found):
            path = found[name]
            end, seq = _whole_lines(path)
            self._positions[name] = end or 0
            if end is None or after is not None:
                self._done.add(name)
            self._next[name.stem, name.incarnation] = name.first_seq if seq is None else seq + 1
            extents.append(Extent(name, path, end, after.first_seq if after else None))
        return extents

    def poll(self) -> Iterator[Entry]:
        """Yield the records that came since the last look; raises OSError if a segment cannot be read."""
        found = self._find()
        for name in [name for name in self._positions if name not in found]:
            del self._positions[name]
            if name not in self._done:
                self._notice(f"{name} is not there any more; run riskbus verify on the directory")
        for name, after in _with_successors(found):
            if name not in self._done:
                yield from self._advance(name, found[name])
            if after is not None:
                self._done.add(name)

    def _find(self) -> dict[SegmentName, Path]:
        found = {}
        for directory, stem in self._places:
            with suppress(FileNotFoundError):
                names = [name for name in list_segments(directory) if stem in {None, name.stem}]
                found.update({name: directory / str(name) for name in names})
        return found

    def _advance(self, name: SegmentName, path: Path) -> Iterator[Entry]:
        position = self._positions.setdefault(name, 0)
        with suppress(FileNotFoundError), open_segment(path) as file:  # pruned meanwhile: the next look says so
            if not file.seekable():
                self._done.add(name)
            elif position > os.fstat(file.fileno()).st_size:
                self._notice(f"{name} is shorter than before; run riskbus verify on the directory")
                position = 0
            else:
                file.seek(position)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                position += len(line)
                yield from self._take(name, line)
        self._positions[name] = position

    def _take(self, name: SegmentName, line: bytes) -> Iterator[Entry]:
        incarnation = name.stem, name.incarnation
        try:
            entry = read_entry(line)
        except FormatError:
            self._notice(f"{name} has lines that are no records; run riskbus verify on the directory")
            return
        if entry.fields["seq"] >= self._next.get(incarnation, 0):  # else a later segment repeats what was seen
            self._next[incarnation] = entry.fields["seq"] + 1
            yield entry


def _with_successors(found: Iterable[SegmentName]) -> list[tuple[SegmentName, SegmentName | None]]:
    """Return the names in order, each with the next segment of its incarnation, None if it is the last."""
    names = sorted(found)
    following = {a: b for a, b in pairwise(names) if (a.stem, a.incarnation) == (b.stem, b.incarnation)}
    return [(name, following.get(name)) for name in names]


def _whole_lines(path: Path) -> tuple[int | None, int | None]:
    """Return how many bytes of whole lines a segment has, and the number of its last record; None if compressed."""
    try:
        file = open_plain(path)
    except FileNotFoundError:
        compressed_path(path).stat()
        return None, None
    with file:
        size = os.fstat(file.fileno()).st_size
        lines = lines_backwards(file, size)
        end = size - len(next(lines))
        return end, next((seq for line in lines if (seq := _seq(line)) is not None), None)


def _seq(line: bytes) -> int | None:
    try:
        seq: int = read_entry(line + b"\n").fields["seq"]
    except FormatError:
        return None
    return seq
