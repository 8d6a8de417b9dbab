"""The directory of a stream: which segments it holds, which incarnation came before, and whose the link is."""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from riskbus.errors import FormatError
from riskbus.format import record
from riskbus.format.names import SegmentName, parse_segment_name
from riskbus.store import posix
from riskbus.store.reading import compressed_path, find_last

_CHECKPOINT_MARK = b'"event_type":"AUDIT_CHECKPOINT"'


@dataclass(frozen=True, slots=True)
class Previous:
    """Where an earlier incarnation ended.

    Attributes:
        incarnation: which one.
        checkpoint: the note of its last checkpoint, "" if none was found.
    """

    incarnation: str
    checkpoint: str


def list_segments(directory: Path) -> list[SegmentName]:
    """Return the names of the segments in a directory, in order, each once, whether it is compressed or not."""
    with os.scandir(directory) as entries:
        names = (parse_segment_name(entry.name) for entry in entries if entry.is_file(follow_symlinks=False))
        return sorted({name for name in names if name})


def find_segments(directories: Iterable[Path], stem: str) -> dict[SegmentName, Path]:
    """Return the segments of one log in several directories, with their paths; one that is not there holds none."""
    found = {}
    for directory in directories:
        with suppress(FileNotFoundError, NotADirectoryError):
            found.update({name: directory / str(name) for name in list_segments(directory) if name.stem == stem})
    return found


def find_previous(directories: Iterable[Path], stem: str, incarnation: str) -> Previous | None:
    """Return where the newest other incarnation of this stream stands, or None if there is none."""
    segments = find_segments(directories, stem)
    names = sorted(name for name in segments if name.incarnation != incarnation)
    if not names:
        return None
    newest = names[-1].incarnation
    own = (segments[name] for name in reversed(names) if name.incarnation == newest)
    checkpoint = next((note for path in own if (note := last_checkpoint(path))), "")
    return Previous(newest, checkpoint)


def last_checkpoint(segment: Path) -> str:
    """Return the note of the last checkpoint record in a segment, "" if there is none."""
    return find_last(segment, _checkpoint) or ""


def _checkpoint(line: bytes) -> str | None:
    if _CHECKPOINT_MARK not in line:
        return None
    try:
        fields = record.decode(record.from_line(line)[0])
    except FormatError:
        return None
    payload = fields["data"]
    note = payload.get("note") if fields["event_type"] == "AUDIT_CHECKPOINT" and isinstance(payload, dict) else None
    return note if isinstance(note, str) else None


class End(NamedTuple):
    """Where an ended incarnation stopped on the volume.

    Attributes:
        seq: the number of the last record, -1 if there is none.
        torn: whether half a line follows.
    """

    seq: int
    torn: bool


def find_end(directories: Iterable[Path], stem: str, incarnation: str) -> End:
    """Return where an ended incarnation stopped.

    What is found is forced to disk first, so that it may be relied on; if that fails, the answer is the last record
    before the segment in question.
    """
    own = {name: path for name, path in find_segments(directories, stem).items() if name.incarnation == incarnation}
    if not own:
        return End(-1, torn=False)
    newest = max(own)
    path = own[newest]
    synced = posix.sync_file(path) or posix.sync_file(compressed_path(path))
    seq = find_last(path, _seq) if synced else None
    rest = (find_last(path, lambda line: line) if synced else None) or b""  # or the last line of a compressed segment
    torn = rest != b"" and not rest.endswith(b"\n")
    unfinished = _seq(rest) if torn else None
    if unfinished is not None:
        seq = unfinished - 1  # only the line feed is missing, and without it no reader takes a record for one
    return End(newest.first_seq - 1 if seq is None else seq, torn)


def _seq(line: bytes) -> int | None:
    try:
        return int(record.decode(record.from_line(line)[0])["seq"])
    except FormatError:
        return None


def claim_link(link: Path, segment: SegmentName) -> None:
    """Let the link point to this segment, unless another living process' segment holds it.

    The oldest incarnation that lives keeps the link; when it ends, the next one that asks takes it over.

    Raises:
        FileExistsError: the name belongs to something that is not a symbolic link; it is left alone.
        OSError: the kernel refused.
    """
    target = str(link.readlink()) if link.is_symlink() else ""
    holder = parse_segment_name(target)
    if target == str(segment):
        return
    if holder and holder.incarnation != segment.incarnation and posix.is_locked(link.parent / target):
        return
    posix.point_symlink(link, str(segment))
