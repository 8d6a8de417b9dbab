"""Finding the logs in directories: which segments make up an incarnation, wherever they lie."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from riskbus.format.names import SegmentName
from riskbus.store import posix
from riskbus.store.reading import compressed_path, open_segment
from riskbus.store.stream import list_segments

_BLOCK = 1 << 20
Unreadable = Callable[[OSError], None]


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """A segment as it was found; a live one grows on.

    Attributes:
        name: what its name says.
        path: where it would stand uncompressed.
        file: the name of the file, printable.
        size: bytes that the file takes.
    """

    name: SegmentName
    path: Path
    file: str
    size: int


@dataclass(frozen=True, slots=True)
class IncarnationFiles:
    """The segments of one incarnation, in order.

    Attributes:
        directory: of its first segment; with the stem, this is the stream.
        stem: the first part of their names.
        incarnation: which one.
        segments: at least one.
    """

    directory: Path
    stem: str
    incarnation: str
    segments: list[SegmentFile]


def find_incarnations(roots: Iterable[Path], unreadable: Unreadable) -> list[IncarnationFiles]:
    """Return the incarnations in directories and below, by stream and age.

    The segments of one incarnation may be spread over directories. One that stands twice counts once; a directory that
    holds it with another content holds a copy of the log, which is an incarnation of its own. What cannot be read is
    told to `unreadable`.
    """
    found: dict[tuple[str, str], list[list[SegmentFile]]] = {}
    for directory in _directories(roots):
        try:
            segments = [_look_at(directory, name) for name in list_segments(directory)]
        except OSError as error:
            unreadable(error)
            continue
        groups: dict[tuple[str, str], list[SegmentFile]] = {}
        for segment in segments:
            groups.setdefault((segment.name.stem, segment.name.incarnation), []).append(segment)
        for key, group in groups.items():
            _join(found.setdefault(key, []), group)
    files = [_incarnation(group) for groups_of_one in found.values() for group in groups_of_one]
    return sorted(files, key=lambda files: (str(files.directory), files.stem, files.incarnation))


def printable(text: str) -> str:
    """Return a name of a file as text that can be written as UTF-8, whatever bytes it consists of."""
    return text.encode("utf-8", "backslashreplace").decode()


def _join(groups: list[list[SegmentFile]], group: list[SegmentFile]) -> None:
    """Add a directory's segments to the first group that they can belong to."""
    for other in groups:
        present = {segment.name.n: segment for segment in other}
        if all(_equal(present[segment.name.n], segment) for segment in group if segment.name.n in present):
            other.extend(segment for segment in group if segment.name.n not in present)
            return
    groups.append(group)


def _equal(one: SegmentFile, other: SegmentFile) -> bool:
    """Whether two files hold the same segment, as for a moment while it is moved, or in a copy of the whole log."""
    if one.name != other.name:
        return False
    try:
        with open_segment(one.path) as first, open_segment(other.path) as second:
            while block := first.read(_BLOCK):
                if block != second.read(_BLOCK):
                    return False
            return not second.read(1)
    except OSError:
        return False


def _incarnation(group: list[SegmentFile]) -> IncarnationFiles:
    segments = sorted(group, key=lambda segment: (segment.name.n, segment.name.first_seq))
    first = segments[0]
    return IncarnationFiles(first.path.parent, first.name.stem, first.name.incarnation, segments)


def _look_at(directory: Path, name: SegmentName) -> SegmentFile:
    path = directory / str(name)
    for candidate in (path, compressed_path(path)):
        with suppress(FileNotFoundError):
            return SegmentFile(name, path, printable(candidate.name), posix.regular_status(candidate).st_size)
    return SegmentFile(name, path, printable(path.name), 0)  # removed since it was listed; opening it says so


def _directories(roots: Iterable[Path]) -> Iterator[Path]:
    """Yield every directory once. Symbolic links in them are not followed, so there is an end."""
    seen = set()
    for root in roots:
        for directory, real in sorted(_walk(root)):
            if real not in seen:
                seen.add(real)
                yield Path(directory)


def _walk(root: Path) -> Iterator[tuple[str, str]]:
    """Yield a directory and every one below, as deep as they may be, each with the path that no link is in.

    What may not be read is passed over here; whoever lists its segments is told.
    """
    waiting = [(str(root), os.path.realpath(root))]
    while waiting:
        directory, real = waiting.pop()
        yield directory, real
        with suppress(OSError), os.scandir(directory) as entries:
            inside = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
            inside = [entry for entry in inside if entry.name != "lost+found"]  # fsck's; only root may look
            waiting += [(entry.path, f"{real.rstrip('/')}/{entry.name}") for entry in inside]
