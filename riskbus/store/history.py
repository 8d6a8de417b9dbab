"""The records that are in a directory now, in the order of time.

Each incarnation's records keep their own order, and incarnations are merged by the time of the records. Lines that a
later segment repeats are left out, as docs/format.md says.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush, heapreplace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from riskbus.errors import FormatError
from riskbus.format.names import SegmentName
from riskbus.format.selection import Entry, Selection, read_entry
from riskbus.store import posix
from riskbus.store.reading import lines_backwards, open_segment

_SKEW_NS = 60 * 10**9  # a file's times may come from the clock of a server

Notice = Callable[[str], None]
"""Takes one sentence about something that is not as it should be."""


class Extent(NamedTuple):
    """A segment as far as it reached when someone looked.

    Attributes:
        name: its name.
        path: where it is; the file may stand compressed.
        end: bytes that belong to it, None for all.
        limit: the number at which the next segment of its incarnation takes over, None if there is none.
    """

    name: SegmentName
    path: Path
    end: int | None
    limit: int | None


class History:
    """What the extents of one directory hold."""

    def __init__(self, extents: list[Extent], selection: Selection, notice: Notice) -> None:
        self._extents = sorted(extents)
        self._selection = selection
        self._notice = notice

    def all(self) -> Iterator[Entry]:
        """Yield every wanted record in the order of time; raises OSError if a segment cannot be read."""
        groups = groupby(self._extents, key=lambda extent: (extent.name.incarnation, extent.name.stem))
        starts = sorted((_started_ns(incarnation), list(group)) for (incarnation, _), group in groups)
        return merge((start, self._incarnation(extents)) for start, extents in starts)

    def last(self, count: int) -> list[Entry]:
        """Return the last wanted records, at most so many; raises OSError if a segment cannot be read."""
        found: list[Entry] = []
        for extent in sorted(self._extents, key=_modified, reverse=True):
            if len(found) >= count and (not found or _modified(extent) + _SKEW_NS < found[0].timestamp_ns):
                break  # a record is written after its time, so nothing here or later can be newer
            found = sorted([*self._last_of(extent, count), *found], key=lambda entry: entry.timestamp_ns)[-count:]
        return found

    def _incarnation(self, extents: list[Extent]) -> Iterator[Entry]:
        for extent in extents:
            with open_segment(extent.path) as file:
                position = 0
                for line in file:
                    position += len(line)
                    if not line.endswith(b"\n") or (extent.end is not None and position > extent.end):
                        break
                    entry = self._read(line, extent)
                    if entry is not None:
                        yield entry

    def _last_of(self, extent: Extent, count: int) -> list[Entry]:
        with open_segment(extent.path) as file:
            if not file.seekable():
                found = (entry for line in file if (entry := self._read(line, extent)) is not None)
                return list(deque(found, count))
            entries: list[Entry] = []
            lines = lines_backwards(file, extent.end)
            next(lines)  # what follows the last line feed: nothing, or a line that is being written
            while len(entries) < count and (line := next(lines, None)) is not None:
                entry = self._read(line + b"\n", extent)
                entries += [entry] if entry is not None else []
        return entries[::-1]

    def _read(self, line: bytes, extent: Extent) -> Entry | None:
        try:
            entry = read_entry(line)
        except FormatError:
            self._notice(f"{extent.name} has lines that are no records; run riskbus verify on the directory")
            return None
        repeated = extent.limit is not None and entry.fields["seq"] >= extent.limit
        return entry if not repeated and self._selection.wants(entry) else None


def merge(incarnations: Iterable[tuple[int, Iterator[Entry]]]) -> Iterator[Entry]:
    """Merge incarnations by time; each is given with the time of its start, and not read before that is reached."""
    heap: list[tuple[int, int, Entry, Iterator[Entry]]] = []
    for number, (start, entries) in enumerate(incarnations):
        while heap and heap[0][0] < start:
            yield _pop(heap)
        first = next(entries, None)
        if first is not None:
            heappush(heap, (first.timestamp_ns, number, first, entries))
    while heap:
        yield _pop(heap)


def _pop(heap: list[tuple[int, int, Entry, Iterator[Entry]]]) -> Entry:
    time, number, entry, entries = heap[0]
    following = next(entries, None)
    if following is None:
        heappop(heap)
    else:  # never before the record that it follows
        heapreplace(heap, (max(time, following.timestamp_ns), number, following, entries))
    return entry


def _started_ns(incarnation: str) -> int:
    return int(incarnation[:12], 16) * 1_000_000  # a UUID version 7 begins with milliseconds since the epoch


def _modified(extent: Extent) -> int:
    try:
        return posix.regular_status(extent.path).st_mtime_ns
    except OSError:
        return 1 << 63  # compressed meanwhile: it has to be read
