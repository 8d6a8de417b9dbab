"""What the records of one incarnation say about it: its opening, its seals, its gaps and its end."""

from collections import deque
from dataclasses import dataclass
from typing import Any

from riskbus.errors import FormatError
from riskbus.format.blocks import CONTROL_MARK, timestamp_of
from riskbus.format.canonical import is_count
from riskbus.format.findings import Findings, Place, Severity
from riskbus.format.pruning import Pruned
from riskbus.format.record import FORMAT_VERSION, read
from riskbus.format.recovery import KIND as RECOVERED
from riskbus.format.recovery import Recovered, parse_recovered
from riskbus.format.seals import Seals

SEAL_PATIENCE_NS = 60 * 10**9
"""A healthy writer seals within a second; a minute allows for a volume that hung."""
_MOST_EVENTS = (1 << 63) - 1  # as many as there are numbers for
_MAX_RECOVERED = 1000  # AUDIT_RECOVERED of an incarnation about earlier ones: one for each process that was killed


@dataclass(slots=True)
class Summary:
    """What an incarnation holds.

    Attributes:
        incarnation: which one.
        stream: as its AUDIT_OPEN says.
        public_key: as its AUDIT_OPEN says, "" if it gave none that can be used.
        records: how many there are.
        pruned: how many came before them and are gone, by declaration.
        events: how many of them are not the log's own.
        sealed: how many the newest good checkpoint covers.
        unsealed: how many no good checkpoint covers, checkpoints not counted.
        anchored: how many the largest matching anchor covers.
        gap_events: events that AUDIT_GAP records declare lost, at most 2^63 - 1.
        first_ts: time of the first record.
        last_ts: time of the last record.
        closed: whether it ended with AUDIT_CLOSE.
    """

    incarnation: str
    stream: str = ""
    public_key: str = ""
    records: int = 0
    pruned: int = 0
    events: int = 0
    sealed: int = 0
    unsealed: int = 0
    anchored: int = 0
    gap_events: int = 0
    first_ts: str = ""
    last_ts: str = ""
    closed: bool = False


class Contents:
    """Interprets records that count and match their hash, in order.

    Attributes:
        previous: the (incarnation, note) pairs that AUDIT_OPEN names.
        recovered: what AUDIT_RECOVERED records say of earlier incarnations.
        last_ns: `timestamp_ns` of the newest record, -1 if there is none.
    """

    def __init__(self, summary: Summary, findings: Findings, seals: Seals) -> None:
        self.previous: list[tuple[str, str]] = []
        self.recovered: list[Recovered] = []
        self.last_ns = -1
        self._summary = summary
        self._findings = findings
        self._seals = seals
        self._sealing: deque[int] = deque()  # checkpoints that no good checkpoint covers
        self._strange: deque[tuple[int, Place]] = deque()  # records that are not JSON of the nine fields
        self._seen_checkpoint = False
        self._closed_at = -1  # the number of AUDIT_CLOSE
        self._checkpoint_ns = -1

    def resume(self, pruned: Pruned) -> None:
        """Go on behind records that are gone. Call before the first record."""
        summary = self._summary
        summary.pruned, summary.closed = pruned.records, pruned.closed
        summary.stream, summary.public_key = pruned.stream, self._seals.key
        self.previous += pruned.previous
        self._closed_at = pruned.records - 1 if pruned.closed else self._closed_at
        self._seen_checkpoint = pruned.sealed > 0
        self._checkpoint_ns = self.last_ns = pruned.last_ns

    def take(self, seq: int, record: bytes, place: Place) -> None:
        """Take the next record, or the next that may be a control record."""
        fields = self.inspect(seq, record, place)
        kind = str(fields["event_type"]) if fields is not None and CONTROL_MARK in record else ""
        if not kind.startswith("AUDIT_"):
            self._summary.events += 1
            kind = ""
        data = fields["data"] if fields is not None and isinstance(fields["data"], dict) else {}
        self.last_ns = timestamp_of(record, self.last_ns)
        if seq == 0 and kind != "AUDIT_OPEN":
            message = "the first record is not AUDIT_OPEN"
            self._findings.add("unopened", Severity.TAMPERING, message, seq, place)
        if self._summary.closed and kind != "AUDIT_CHECKPOINT":
            self._findings.add("after-close", Severity.TAMPERING, "a record follows AUDIT_CLOSE", seq, place)
        elif kind == "AUDIT_OPEN":
            self._open(seq, data, place)
        elif kind == "AUDIT_CLOSE":
            self._summary.closed, self._closed_at = True, seq
        elif kind == "AUDIT_CHECKPOINT":
            self._seal(seq, data, place)
        elif kind == "AUDIT_GAP":
            self._declare(seq, data, place)
        elif kind == RECOVERED and len(self.recovered) < _MAX_RECOVERED:
            found = parse_recovered(data)
            self.recovered += [found] if found else []

    def inspect(self, seq: int, record: bytes, place: Place) -> dict[str, Any] | None:
        """Return a record's fields, None if it is not JSON of the nine; then it is reported, unless a seal covers it.

        A good checkpoint shows that records are as they were written, so only those that none covers need this.
        """
        try:
            return read(record)
        except FormatError:
            self._strange.append((seq, place))
            return None

    def _open(self, seq: int, data: dict[str, Any], place: Place) -> None:
        summary = self._summary
        if seq != 0 or data.get("incarnation") != summary.incarnation:
            message = "AUDIT_OPEN is not where it belongs, or names another incarnation"
            self._findings.add("misplaced", Severity.TAMPERING, message, seq, place)
            return
        if data.get("format_version") != FORMAT_VERSION:
            message = f"format version {data.get('format_version')}; this verifier knows {FORMAT_VERSION}"
            self._findings.add("version", Severity.UNDECIDED, message, seq, place)
        summary.stream = str(data.get("stream"))
        self._seals.open(str(data.get("public_key")), f"{summary.stream}/{summary.incarnation}")
        summary.public_key = self._seals.key
        previous = data.get("previous")
        for item in previous if isinstance(previous, list) else []:
            if isinstance(item, dict):
                self.previous.append((str(item.get("incarnation")), str(item.get("checkpoint"))))

    def _seal(self, seq: int, data: dict[str, Any], place: Place) -> None:
        self._seen_checkpoint = True
        self._checkpoint_ns = self.last_ns
        self._sealing.append(seq)
        if self._seals.check(str(data.get("note")), seq, place):
            while self._sealing[0] < self._seals.sealed:
                self._sealing.popleft()
            while self._strange and self._strange[0][0] < self._seals.sealed:
                self._strange.popleft()

    def _declare(self, seq: int, data: dict[str, Any], place: Place) -> None:
        events = data.get("events")
        if is_count(events):
            self._summary.gap_events = min(self._summary.gap_events + events, _MOST_EVENTS)
        message = f"the writer declares {events} events lost: {data.get('reason', 'no reason given')}"
        self._findings.add("gap", Severity.DECLARED_GAP, message, seq, place)

    def finish(self, last: int) -> None:
        """Draw the conclusions that need the end; `last` is the number of the last record."""
        for seq, place in self._strange:
            message = "the record is not JSON of the nine fields"
            self._findings.add("malformed", Severity.DAMAGE, message, seq, place)
        summary = self._summary
        summary.sealed, summary.anchored = self._seals.sealed, self._seals.anchored
        summary.unsealed = summary.pruned + summary.records - summary.sealed - len(self._sealing)
        if message := self._unsealed():
            self._findings.add("unsealed", Severity.UNDECIDED, message, last)

    def _unsealed(self) -> str:
        if not self._seen_checkpoint:
            return "no record carries a seal" if self._summary.records > 1 else ""
        if self._summary.closed and self._seals.newest <= self._closed_at:
            return "no checkpoint covers AUDIT_CLOSE, which every writer adds"
        late = self.last_ns - self._checkpoint_ns > SEAL_PATIENCE_NS
        return "the newest records carry no seal although the writer had a minute to seal them" if late else ""
