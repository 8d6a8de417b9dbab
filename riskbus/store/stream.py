"""The directory of a stream: which segments it holds, which incarnation came before, and whose the link is."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from riskbus.errors import FormatError
from riskbus.format import record
from riskbus.format.names import SegmentName, parse_segment_name
from riskbus.store import posix

_BLOCK = 1 << 20
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
    """Return the names of the segments in a directory, in order."""
    with os.scandir(directory) as entries:
        names = (parse_segment_name(entry.name) for entry in entries if entry.is_file(follow_symlinks=False))
        return sorted(name for name in names if name)


def find_previous(directory: Path, stem: str, incarnation: str) -> Previous | None:
    """Return where the newest other incarnation of this stream stands, or None if there is none."""
    segments = [name for name in list_segments(directory) if name.stem == stem and name.incarnation != incarnation]
    if not segments:
        return None
    newest = segments[-1].incarnation
    own = (directory / str(name) for name in reversed(segments) if name.incarnation == newest)
    checkpoint = next((note for path in own if (note := last_checkpoint(path))), "")
    return Previous(newest, checkpoint)


def last_checkpoint(segment: Path) -> str:
    """Return the note of the last checkpoint record in a segment, "" if there is none."""
    for line in _lines_backwards(segment):
        if _CHECKPOINT_MARK not in line:
            continue
        try:
            fields = record.decode(record.from_line(line)[0])
        except FormatError:
            continue
        if fields["event_type"] == "AUDIT_CHECKPOINT":
            return str(fields["data"].get("note", ""))
    return ""


def last_seq(directory: Path, stem: str, incarnation: str) -> int:
    """Return the number of the last record that an ended incarnation left on the volume, -1 if there is none.

    What is found is forced to disk first, so that it may be relied on; if that fails, the answer is the last record
    before the segment in question.
    """
    own = [name for name in list_segments(directory) if name.stem == stem and name.incarnation == incarnation]
    if not own:
        return -1
    newest = own[-1]
    path = directory / str(newest)
    if not posix.sync_file(path):
        return newest.first_seq - 1
    for line in _lines_backwards(path):
        try:
            return int(record.decode(record.from_line(line)[0])["seq"])
        except FormatError:
            continue
    return newest.first_seq - 1


def _lines_backwards(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        rest = b""
        while position:
            step = min(_BLOCK, position)
            position = file.seek(position - step)
            rest, *lines = (file.read(step) + rest).split(b"\n")
            yield from reversed(lines)
        yield rest


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
