"""Verifying a volume: every stream, incarnation and segment below a directory, read from the bytes."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from riskbus.errors import FormatError
from riskbus.format import checkpoint
from riskbus.format.anchors import Anchor
from riskbus.format.checking import IncarnationChecker, Summary
from riskbus.format.findings import SEVEREST_FIRST, Dimension, Finding, Severity
from riskbus.format.names import SegmentName
from riskbus.store import posix
from riskbus.store.reading import open_segment, stored_size
from riskbus.store.stream import list_segments

Progress = Callable[[int], None]
"""Called with the number of bytes that were read since the last call."""


@dataclass(slots=True)
class StreamReport:
    """What is known about one stream after verification.

    Attributes:
        directory: where it is.
        stem: the first part of its segments' names.
        incarnations: what each holds, oldest first.
        findings: what is wrong.
        segments: how many files were read.
        size: how many bytes were read.
    """

    directory: Path
    stem: str
    incarnations: list[Summary] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    segments: int = 0
    size: int = 0


@dataclass(slots=True)
class VolumeReport:
    """What is known about everything below a directory after verification.

    Attributes:
        streams: one report each.
        strays: findings about anchors that belong to none of them.
    """

    streams: list[StreamReport]
    strays: list[Finding]

    @property
    def findings(self) -> list[Finding]:
        """Every finding."""
        return [*(finding for stream in self.streams for finding in stream.findings), *self.strays]

    @property
    def worst(self) -> Severity | None:
        """The worst severity of all findings; UNDECIDED where there was nothing to verify; None if all is well."""
        severities = {finding.severity for finding in self.findings}
        if not self.streams:
            severities.add(Severity.UNDECIDED)
        return next((severity for severity in SEVEREST_FIRST if severity in severities), None)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """A segment as it was when verification began; a live one grows on."""

    name: SegmentName
    path: Path
    size: int
    locked: bool


def verify_tree(root: Path, anchors: list[Anchor], progress: Progress) -> VolumeReport:
    """Verify every stream in a directory and below. Safe on directories that are being written.

    Raises:
        OSError: something cannot be read; the message says what.
    """
    streams = [
        _verify_stream(directory, stem, list(segments), anchors, progress)
        for directory in _directories(root)
        for stem, segments in groupby(_snapshots(directory), key=lambda snapshot: snapshot.name.stem)
    ]
    known = {summary.stream for stream in streams for summary in stream.incarnations}
    present = {summary.incarnation for stream in streams for summary in stream.incarnations}
    strays = [_stray(anchor, known) for anchor in anchors if _split(anchor)[1] not in present]
    return VolumeReport(streams, strays)


def total_size(root: Path) -> int:
    """Return how many bytes there are to verify."""
    return sum(snapshot.size for directory in _directories(root) for snapshot in _snapshots(directory))


def _directories(root: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise error

    found = []
    for directory, children, _ in os.walk(root, onerror=refuse):
        children[:] = [child for child in children if child != "lost+found"]  # fsck's, and only root may look
        found.append(Path(directory))
    return sorted(found)


def _snapshots(directory: Path) -> list[_Snapshot]:
    paths = [(name, directory / str(name)) for name in list_segments(directory)]
    return [_Snapshot(name, path, stored_size(path), posix.is_locked(path)) for name, path in paths]


def _verify_stream(
    directory: Path, stem: str, segments: list[_Snapshot], anchors: list[Anchor], progress: Progress
) -> StreamReport:
    report = StreamReport(directory, stem, segments=len(segments), size=sum(segment.size for segment in segments))
    groups = {name: list(group) for name, group in groupby(segments, key=lambda segment: segment.name.incarnation)}
    named = _named_by_successors(groups)
    for incarnation, group in groups.items():
        checker = IncarnationChecker(incarnation)
        for anchor in [*named.pop(incarnation, ()), *anchors]:
            if _split(anchor)[1] == incarnation:
                checker.expect(anchor)
        _read_incarnation(checker, group, newest=incarnation == max(groups), progress=progress)
        report.incarnations.append(checker.summary)
        report.findings += checker.findings
    report.findings += [_absent(incarnation) for incarnation in named]
    return report


def _read_incarnation(checker: IncarnationChecker, group: list[_Snapshot], *, newest: bool, progress: Progress) -> None:
    taken_over = [*(snapshot.name.first_seq for snapshot in group[1:]), None]
    for snapshot, limit in zip(group, taken_over, strict=True):
        checker.begin_segment(snapshot.name, limit)
        may_live = limit is None and (newest or snapshot.locked)
        _read_segment(checker, snapshot, may_live=may_live, progress=progress)
    checker.finish()


def _read_segment(checker: IncarnationChecker, snapshot: _Snapshot, *, may_live: bool, progress: Progress) -> None:
    byte = 0
    with open_segment(snapshot.path) as file:
        compressed = not file.seekable()
        for number, line in enumerate(file, 1):
            if line.endswith(b"\n"):
                checker.feed(line, number, byte)
            else:
                in_flight = may_live and not checker.summary.closed
                checker.feed_rest(line, number, byte, in_flight=in_flight)
            byte += len(line)
            if not compressed:
                progress(len(line))
                if byte >= snapshot.size:
                    break
    if compressed:
        progress(snapshot.size)


def _named_by_successors(groups: dict[str, list[_Snapshot]]) -> dict[str, list[Anchor]]:
    """Return, for each incarnation that an AUDIT_OPEN names as its previous one, the checkpoints given there."""
    named: dict[str, list[Anchor]] = {}
    for incarnation, group in groups.items():
        with open_segment(group[0].path) as file:
            line = file.readline()
        reader = IncarnationChecker(incarnation)  # reads the one line; its findings are made again later
        reader.begin_segment(group[0].name, None)
        reader.feed(line, 1, 0)
        for previous, note in reader.previous:
            anchors = named.setdefault(previous, [])
            with suppress(FormatError):
                anchors.append(Anchor(checkpoint.parse(note), "", f"AUDIT_OPEN of {incarnation}"))
    return named


def _split(anchor: Anchor) -> tuple[str, str]:
    stream, _, incarnation = anchor.checkpoint.origin.rpartition("/")
    return stream, incarnation


def _absent(incarnation: str) -> Finding:
    message = "a later AUDIT_OPEN names this incarnation, but none of its segments is here; moved, pruned or removed"
    return Finding("absent", Dimension.COMPLETENESS, Severity.UNDECIDED, message, incarnation)


def _stray(anchor: Anchor, known: set[str]) -> Finding:
    stream, incarnation = _split(anchor)
    if stream in known:
        message = (
            f"{anchor.source} proves that there were {anchor.checkpoint.size} records; no segment of theirs is here"
        )
        return Finding("removed", Dimension.ANCHORING, Severity.TAMPERING, message, incarnation)
    message = f"{anchor.source} speaks of the stream {stream}, which is not here; verify the directory that holds it"
    return Finding("stray", Dimension.ANCHORING, Severity.UNDECIDED, message, incarnation)
