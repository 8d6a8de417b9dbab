"""Checking one incarnation of the log, line by line, from nothing but its bytes.

The checker recomputes every hash and every root. It stops at nothing: damage in the middle does not hide what follows.
"""

from dataclasses import dataclass
from typing import Any

from riskbus.errors import FormatError
from riskbus.format.anchors import Anchor
from riskbus.format.findings import Dimension, Finding, Place, Severity
from riskbus.format.names import SegmentName
from riskbus.format.record import FORMAT_VERSION, decode, from_line, leaf_hash
from riskbus.format.seals import Seals

SEAL_PATIENCE_NS = 60 * 10**9
"""A healthy writer seals within a second; a minute allows for a volume that hung."""


@dataclass(slots=True)
class Summary:
    """What an incarnation holds.

    Attributes:
        incarnation: which one.
        stream: as its AUDIT_OPEN says.
        records: how many there are.
        events: how many of them are not the log's own.
        sealed: how many the newest valid checkpoint covers.
        unsealed: how many come after, checkpoints not counted.
        anchored: how many the newest matching anchor covers.
        gap_events: events that AUDIT_GAP records declare lost.
        first_ts: time of the first record.
        last_ts: time of the last record.
        closed: whether it ended with AUDIT_CLOSE.
    """

    incarnation: str
    stream: str = ""
    records: int = 0
    events: int = 0
    sealed: int = 0
    unsealed: int = 0
    anchored: int = 0
    gap_events: int = 0
    first_ts: str = ""
    last_ts: str = ""
    closed: bool = False


class IncarnationChecker:
    """Checks the segments of one incarnation, in order.

    Attributes:
        summary: what was seen so far.
        findings: what is wrong with it.
        previous: the (incarnation, note) pairs that its AUDIT_OPEN names.
    """

    def __init__(self, incarnation: str) -> None:
        self.summary = Summary(incarnation)
        self.findings: list[Finding] = []
        self.previous: list[tuple[str, str]] = []
        self._seals = Seals(self._report)
        self._next = 0  # the number that the next record must have
        self._limit: int | None = None  # where the next segment takes over
        self._aside: dict[int, bytes] = {}  # lines of abandoned segments, until their copies come
        self._aside_next = 0
        self._garbled = False  # whether the line before was no record
        self._place = Place()
        self._now_ns = self._sealed_ns = 0

    def expect(self, anchor: Anchor) -> None:
        """Compare with an anchor of this incarnation. Call before the first line."""
        self._seals.expect(anchor)

    def begin_segment(self, name: SegmentName, taken_over_at: int | None) -> None:
        """Go on with the next segment; `taken_over_at` is the first number of the one after it, if there is one."""
        self._place = Place(str(name))
        self._limit = taken_over_at
        self._aside_next = taken_over_at or 0
        self._garbled = False
        if name.first_seq > self._next:
            self._miss(name.first_seq)

    def feed(self, line: bytes, number: int, byte: int) -> None:
        """Check one complete line, with its line feed."""
        self._place = Place(self._place.file, number, byte)
        try:
            record, stated = from_line(line)
            fields = decode(record)
        except FormatError as error:
            self._garbled = True
            self._report("malformed", Dimension.INTEGRITY, Severity.DAMAGE, f"not a record: {error}", self._next)
            return
        seq = fields["seq"]
        if leaf_hash(record) != stated:
            self._report("altered", Dimension.INTEGRITY, Severity.TAMPERING, "the record does not match its hash", seq)
        if self._limit is not None and seq >= self._limit:
            self._set_aside(seq, line)
        else:
            self._check_copy(seq, line)
            self._accept(seq, fields, stated)

    def feed_rest(self, rest: bytes, number: int, byte: int, *, in_flight: bool) -> None:
        """Check the bytes after a segment's last line feed; `in_flight` says that its writer may still be at it."""
        self._place = Place(self._place.file, number, byte)
        if self._limit is not None and self._next >= self._limit:
            self._set_aside(self._aside_next, rest)
        elif not in_flight or _overshoots(rest):
            message = f"the last line is unfinished ({len(rest)} bytes)"
            self._report("torn", Dimension.INTEGRITY, Severity.DAMAGE, message, self._next)

    def finish(self) -> None:
        """Draw the conclusions that need the end."""
        self._place = Place(self._place.file)
        summary = self.summary
        self._seals.finish(self._next)
        summary.sealed, summary.anchored = self._seals.sealed, self._seals.anchored
        late = self._now_ns - self._sealed_ns > SEAL_PATIENCE_NS
        if summary.unsealed and (late or summary.closed or (not summary.sealed and self._next > 1)):
            message = f"{summary.unsealed} records carry no seal although the writer had time to seal them"
            self._report("unsealed", Dimension.AUTHENTICITY, Severity.UNDECIDED, message, self._next - 1)

    # -- copies in abandoned segments

    def _set_aside(self, seq: int, line: bytes) -> None:
        self._check_copy(seq, line)
        self._aside[seq] = line
        self._aside_next = seq + 1

    def _check_copy(self, seq: int, line: bytes) -> None:
        copy = self._aside.pop(seq, None)
        if copy is not None and not line.startswith(copy) and not copy.startswith(line):
            message = "the copy in an abandoned segment differs from this record"
            self._report("contradicted", Dimension.INTEGRITY, Severity.DAMAGE, message, seq)

    # -- one record

    def _accept(self, seq: int, fields: dict[str, Any], leaf: bytes) -> None:
        if seq < self._next:
            message = f"record {self._next} was expected here"
            self._report("out-of-order", Dimension.INTEGRITY, Severity.TAMPERING, message, seq)
            return
        if seq > self._next:
            self._miss(seq)
        self._garbled = False
        self._next = seq + 1
        self._summarise(fields)
        self._interpret(seq, fields)
        self._seals.add(leaf, self._next)

    def _summarise(self, fields: dict[str, Any]) -> None:
        summary = self.summary
        if type(fields["timestamp_ns"]) is int:
            self._now_ns = fields["timestamp_ns"]
        if summary.records == 0:
            summary.first_ts = str(fields["ts"])
            self._sealed_ns = self._now_ns
        summary.records += 1
        summary.last_ts = str(fields["ts"])

    def _interpret(self, seq: int, fields: dict[str, Any]) -> None:
        kind = str(fields["event_type"])
        data = fields["data"] if isinstance(fields["data"], dict) else {}
        if seq == 0 and kind != "AUDIT_OPEN":
            self._report("unopened", Dimension.INTEGRITY, Severity.TAMPERING, "the first record is not AUDIT_OPEN", seq)
        if kind == "AUDIT_CHECKPOINT":
            if self._seals.check(str(data.get("note", "")), seq):
                self.summary.unsealed = seq - self._seals.sealed
                self._sealed_ns = self._now_ns
            return
        if self.summary.closed:
            self._report("after-close", Dimension.INTEGRITY, Severity.TAMPERING, "a record follows AUDIT_CLOSE", seq)
        self.summary.unsealed += 1
        if kind == "AUDIT_OPEN":
            self._open(seq, data)
        elif kind == "AUDIT_CLOSE":
            self.summary.closed = True
        elif kind == "AUDIT_GAP":
            self._declare(seq, data)
        elif not kind.startswith("AUDIT_"):
            self.summary.events += 1

    def _open(self, seq: int, data: dict[str, Any]) -> None:
        summary = self.summary
        if seq != 0 or data.get("incarnation") != summary.incarnation:
            message = "AUDIT_OPEN is not where it belongs, or names another incarnation"
            self._report("misplaced", Dimension.INTEGRITY, Severity.TAMPERING, message, seq)
            return
        if data.get("format_version") != FORMAT_VERSION:
            message = f"format version {data.get('format_version')}; this verifier knows {FORMAT_VERSION}"
            self._report("version", Dimension.INTEGRITY, Severity.UNDECIDED, message, seq)
        summary.stream = str(data.get("stream", ""))
        self._seals.open(str(data.get("public_key", "")), f"{summary.stream}/{summary.incarnation}")
        previous = data.get("previous")
        for item in previous if isinstance(previous, list) else []:
            if isinstance(item, dict):
                self.previous.append((str(item.get("incarnation", "")), str(item.get("checkpoint", ""))))

    def _declare(self, seq: int, data: dict[str, Any]) -> None:
        events = data.get("events")
        count = events if type(events) is int else 1
        self.summary.gap_events += count
        message = f"the writer declares {count} events lost: {data.get('reason', 'no reason given')}"
        self._report("gap", Dimension.COMPLETENESS, Severity.DECLARED_GAP, message, seq)

    def _miss(self, seq: int) -> None:
        severity = Severity.DAMAGE if self._garbled else Severity.TAMPERING
        message = f"records {self._next} to {seq - 1} are missing"
        self._report("missing", Dimension.COMPLETENESS, severity, message, self._next)
        self._seals.lose()
        self._next = seq

    def _report(self, kind: str, dimension: Dimension, severity: Severity, message: str, seq: int) -> None:
        self.findings.append(Finding(kind, dimension, severity, message, self.summary.incarnation, seq, self._place))


def _overshoots(rest: bytes) -> bool:
    """Whether an unfinished line holds a whole record and something else where its line feed belongs."""
    try:
        from_line(rest[:-1])
    except FormatError:
        return False
    return True
