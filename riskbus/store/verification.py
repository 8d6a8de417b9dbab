"""Verifying logs: every stream, incarnation and segment in directories and below, read from the bytes."""

import io
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from riskbus.errors import FormatError
from riskbus.format import checkpoint
from riskbus.format.anchors import Anchor
from riskbus.format.checking import IncarnationChecker, Stretch
from riskbus.format.contents import Summary
from riskbus.format.findings import NOWHERE, Dimension, Finding, Place, Severity, worst
from riskbus.store import posix
from riskbus.store.declarations import Declarations
from riskbus.store.logs import IncarnationFiles, SegmentFile, find_incarnations, printable
from riskbus.store.reading import open_plain, open_segment
from riskbus.store.recoveries import Checked, recovered
from riskbus.store.scanning import Piece, Scanner

Progress = Callable[[int], None]
"""Called with the number of bytes of files that were read since the last call."""


@dataclass(slots=True)
class StreamReport:
    """What is known about one stream after verification.

    Attributes:
        directory: where it is.
        stem: the first part of its segments' names.
        incarnations: what each holds, oldest first.
        findings: what is wrong.
        omitted: how many further findings of a kind there are, which are not listed.
        segments: how many files were read.
        size: how many bytes they take.
        compared: whether anything that was kept elsewhere, or by a later incarnation, bears on it.
    """

    directory: Path
    stem: str
    incarnations: list[Summary] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    omitted: dict[str, int] = field(default_factory=dict)
    segments: int = 0
    size: int = 0
    compared: bool = False

    def worst_of(self, dimension: Dimension) -> Severity | None:
        """The worst severity of the findings that bear on a question, None if all is well."""
        return worst([finding for finding in self.findings if finding.dimension is dimension])


@dataclass(slots=True)
class VolumeReport:
    """What is known about everything that was verified.

    Attributes:
        streams: one report each.
        strays: findings that belong to none of them.
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
        found = worst(self.findings)
        return found if self.streams or found in {Severity.TAMPERING, Severity.DAMAGE} else Severity.UNDECIDED


def verify_tree(
    root: Path, anchors: list[Anchor], progress: Progress, *, others: Sequence[Path] = (), jobs: int = 1
) -> VolumeReport:
    """Verify every stream in a directory and below. Safe on directories that are being written.

    Args:
        root: the directory.
        anchors: checkpoints that were kept elsewhere.
        progress: told how far it is.
        others: further directories, over which the segments may be spread.
        jobs: how many processes check; where this one has several threads, each imports the main module.

    Raises:
        OSError: a process of the verification was killed. What cannot be read becomes a finding instead.
    """
    strays: list[Finding] = []
    found = find_incarnations([root, *others], lambda error: strays.append(_unlisted(error)))
    with Scanner(jobs) as scanner:
        volume = _Volume(found, anchors, scanner, progress)
        streams = volume.verify()
    return VolumeReport(streams, strays + volume.strays)


def total_size(roots: Sequence[Path]) -> int:
    """Return how many bytes there are to verify."""
    found = find_incarnations(roots, lambda _: None)
    return sum(segment.size for files in found for segment in files.segments)


class _Volume:
    """The incarnations that were found, and what later ones and anchors say about each other.

    Attributes:
        strays: findings about anchors whose incarnation is not here, after `verify`.
    """

    def __init__(
        self, found: list[IncarnationFiles], anchors: list[Anchor], scanner: Scanner, progress: Progress
    ) -> None:
        self._found = found
        self._anchors = anchors
        self._scanner = scanner
        self._progress = progress
        self._streams: dict[tuple[Path, str], StreamReport] = {}
        self._here = {files.incarnation for files in found}
        self._named = [anchor for files in found for anchor in _anchors_in(files)]
        self._opened: set[str] = set()  # the names of streams that AUDIT_OPEN records give
        self._sealed: dict[str, int] = {}
        self._report_of: dict[str, StreamReport] = {}
        self._checked: list[Checked] = []
        self.strays: list[Finding] = []
        self._declarations = Declarations(found if self._lacks_something() else [])

    def _lacks_something(self) -> bool:
        """Whether anything is not here that an AUDIT_PRUNED record may explain; most volumes need not be searched."""
        begun = all(files.segments[0].name.first_seq == 0 for files in self._found)
        expected = {_split(anchor)[1] for anchor in [*self._named, *self._anchors]}
        return not begun or not expected <= self._here

    def verify(self) -> list[StreamReport]:
        """Verify every incarnation."""
        newest = {(files.directory, files.stem): files.incarnation for files in self._found}  # they are in order
        for files in self._found:
            key = (files.directory, files.stem)
            report = self._streams.setdefault(key, StreamReport(*key))
            self._verify(files, report, newest=newest[key] == files.incarnation)
        self.strays = self._find_strays()
        for by, finding in self._declarations.findings(self._sealed):
            self._report_of[by].findings.append(finding)
        for torn, note in recovered(self._checked):
            for report in self._streams.values():
                report.findings = [note if finding is torn else finding for finding in report.findings]
        return list(self._streams.values())

    def _verify(self, files: IncarnationFiles, report: StreamReport, *, newest: bool) -> None:
        checker = IncarnationChecker(files.incarnation)
        for anchor in [*self._named, *self._anchors]:
            if _split(anchor)[1] == files.incarnation:
                checker.expect(anchor)
                report.compared = True
        beginning = self._declarations.beginning(files)
        if beginning is not None:
            checker.resume(beginning)
        _Reading(checker, files, self._scanner, self._progress).read(newest=newest)
        report.segments += len(files.segments)
        report.size += sum(segment.size for segment in files.segments)
        report.incarnations.append(checker.summary)
        self._report_of[files.incarnation] = report
        self._sealed[files.incarnation] = checker.summary.sealed
        report.findings += checker.findings.listed
        self._checked.append(Checked.of(checker, files))
        for kind, count in checker.findings.omitted.items():
            report.omitted[kind] = report.omitted.get(kind, 0) + count
        if checker.summary.stream:
            self._opened.add(checker.summary.stream)
        said = {finding.incarnation for finding in report.findings if finding.kind == "absent"}
        for name in dict.fromkeys(incarnation for incarnation, _ in checker.previous):
            anchors = [anchor for anchor in self._named if _split(anchor)[1] == name]
            if name not in self._here | said and not self._declarations.explain(name, anchors):
                report.findings.append(_absent(name))

    def _find_strays(self) -> list[Finding]:
        kept: dict[str, list[Anchor]] = {}
        for anchor in self._anchors:
            if _split(anchor)[1] not in self._here:
                kept.setdefault(_split(anchor)[1], []).append(anchor)
        return [
            _stray(incarnation, anchors, self._opened)
            for incarnation, anchors in kept.items()
            if not self._declarations.explain(incarnation, anchors)
        ]


class _Reading:
    """Reads the segments of one incarnation for its checker."""

    def __init__(
        self, checker: IncarnationChecker, files: IncarnationFiles, scanner: Scanner, progress: Progress
    ) -> None:
        self._checker = checker
        self._files = files
        self._scanner = scanner
        self._progress = progress
        self._number = 1  # of the next line
        self._byte = 0  # where it begins

    def read(self, *, newest: bool) -> None:
        """Read everything; `newest` says that no later incarnation of the stream is there."""
        segments = self._files.segments
        taken_over = [*(segment.name.first_seq for segment in segments[1:]), None]
        for segment, limit in zip(segments, taken_over, strict=True):
            self._checker.begin_segment(segment.name, limit, segment.file)
            in_flight = limit is None and (newest or posix.is_locked(segment.path))
            self._number, self._byte = 1, 0
            try:
                self._read(segment, in_flight=in_flight)
            except OSError as error:
                self._checker.give_up(f"the file cannot be read: {error.strerror}", self._number, self._byte)
        for stretch in self._checker.unread():
            with suppress(OSError):  # what can no longer be read was good a moment ago
                self._inspect(stretch)
        self._checker.finish()

    def _read(self, segment: SegmentFile, *, in_flight: bool) -> None:
        with open_segment(segment.path) as file:
            plain = file.seekable()
            for piece, block in self._scanner.scan(file, segment.path):
                if block is None or not self._checker.feed_block(block, self._number, self._byte, piece.length):
                    data = _load(segment.path, piece) if piece.data is None else piece.data
                    self._feed(data, piece.length, in_flight=in_flight)
                else:
                    self._number += block.records
                    self._byte += piece.length
                if plain:
                    self._progress(piece.length)
        if not plain:
            self._progress(segment.size)

    def _feed(self, data: bytes, length: int, *, in_flight: bool) -> None:
        if length > len(data) and data.endswith(b"\n"):
            self._checker.garble("the line is longer than any record", self._number, self._byte)
            self._advance(length)
            return
        for line in io.BytesIO(data):
            if line.endswith(b"\n"):
                self._checker.feed(line, self._number, self._byte)
            else:
                self._checker.feed_rest(line, self._number, self._byte, in_flight=in_flight)
            self._advance(len(line))

    def _advance(self, length: int) -> None:
        self._number += 1
        self._byte += length

    def _inspect(self, stretch: Stretch) -> None:
        (segment,) = (segment for segment in self._files.segments if segment.file == stretch.file)
        with open_segment(segment.path) as file:
            _skip(file, stretch.byte)
            number, byte = stretch.line, stretch.byte
            while byte < stretch.byte + stretch.length and (line := file.readline()):
                with suppress(FormatError):
                    self._checker.inspect(line, number, byte, stretch.file)
                number += 1
                byte += len(line)


def _load(path: Path, piece: Piece) -> bytes:
    with open_plain(path) as file:
        file.seek(piece.byte)
        return file.read(piece.length)


def _skip(file: BinaryIO, count: int) -> None:
    if file.seekable():
        file.seek(count)
        return
    while count and (data := file.read(min(count, 1 << 20))):
        count -= len(data)


def _anchors_in(files: IncarnationFiles) -> list[Anchor]:
    """Return the checkpoints of earlier incarnations that the AUDIT_OPEN of an incarnation names."""
    reader = IncarnationChecker(files.incarnation)  # reads the one line; its findings are made again later
    segment = files.segments[0]
    reader.begin_segment(segment.name, None)
    with suppress(OSError), open_segment(segment.path) as file:
        line = file.readline(1 << 20)
        if line.endswith(b"\n"):
            reader.feed(line, 1, 0)
    anchors = []
    for incarnation, note in reader.previous:
        with suppress(FormatError):
            anchor = Anchor(checkpoint.parse(note), "", f"AUDIT_OPEN of {files.incarnation}")
            if _split(anchor)[1] == incarnation:
                anchors.append(anchor)
    return anchors


def _split(anchor: Anchor) -> tuple[str, str]:
    stream, _, incarnation = anchor.checkpoint.origin.rpartition("/")
    return stream, incarnation


def _unlisted(error: OSError) -> Finding:
    message = f"the directory cannot be read: {error.strerror}"
    return Finding("unreadable", Severity.UNDECIDED, message, "", -1, Place(printable(str(error.filename))))


def _absent(incarnation: str) -> Finding:
    message = "a later AUDIT_OPEN names this incarnation, but none of its segments is here; moved, pruned or removed"
    return Finding("absent", Severity.UNDECIDED, message, incarnation, -1, NOWHERE)


def _stray(incarnation: str, anchors: list[Anchor], known: set[str]) -> Finding:
    proof = next((anchor for anchor in anchors if _split(anchor)[0] in known), None)
    if proof is not None:
        message = f"{proof.source} proves that there were {proof.checkpoint.size} records; no segment of theirs is here"
        return Finding("removed", Severity.TAMPERING, message, incarnation)
    message = f"{anchors[0].source} speaks of the stream {_split(anchors[0])[0]}, which is not here"
    return Finding("stray", Severity.UNDECIDED, message, incarnation)
