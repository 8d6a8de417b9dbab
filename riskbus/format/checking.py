"""Checking one incarnation of the log from nothing but its bytes.

The checker recomputes every hash and every root. It stops at nothing: damage in the middle does not hide what follows.
The rules, and every kind of finding, are in docs/format.md.
"""

import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from riskbus.errors import FormatError
from riskbus.format.anchors import Anchor
from riskbus.format.blocks import CONTROL_MARK, HEAD, MAX_LINE_BYTES, Block, time_of
from riskbus.format.contents import Contents, Summary
from riskbus.format.copies import Copies
from riskbus.format.findings import NOWHERE, Finding, Findings, Place, Severity
from riskbus.format.names import SegmentName
from riskbus.format.pruning import Pruned
from riskbus.format.record import from_line, leaf_hash
from riskbus.format.recovery import Recovered, Torn
from riskbus.format.seals import Seals

_NEVER = 1 << 63  # a number that no record reaches
_TAIL = re.compile(rb',"hash":"[A-Za-z0-9+/]{43}="\}')


class Stretch(NamedTuple):
    """Records that were checked as a block: where they stand, and the number after the last."""

    file: str
    line: int
    byte: int
    length: int
    end: int


class _Record(NamedTuple):
    """A line that is a record, with the number as which it counts."""

    seq: int
    record: bytes
    leaf: bytes
    altered: bool


class IncarnationChecker:
    """Checks the segments of one incarnation, in order.

    Attributes:
        summary: what was seen so far.
        findings: what is wrong with it.
        torn: the torn rest at its end, None if there is none.
    """

    def __init__(self, incarnation: str) -> None:
        self.summary = Summary(incarnation)
        self.findings = Findings(incarnation)
        self.torn: Torn | None = None
        self._seals = Seals(self.findings)
        self._contents = Contents(self.summary, self.findings, self._seals)
        self._stretches: deque[Stretch] = deque()
        self._copies = Copies(self.findings)
        self._place = NOWHERE
        self._next = 0  # the number that the next record must have
        self._blame = Severity.TAMPERING  # what it means if it has not
        self._first = 0  # the number with which the segment begins, as its name says
        self._begun = False  # whether the segment's first line was seen
        self._limit = _NEVER  # where the next segment takes over
        self._expected = 0  # the number after that of the line before

    @property
    def previous(self) -> list[tuple[str, str]]:
        """The (incarnation, note) pairs that its AUDIT_OPEN names."""
        return self._contents.previous

    @property
    def recovered(self) -> list[Recovered]:
        """What it says of records that earlier incarnations had accepted and not written."""
        return self._contents.recovered

    def expect(self, anchor: Anchor) -> None:
        """Compare with an anchor of this incarnation. Call before the first line."""
        self._seals.expect(anchor)

    def resume(self, pruned: Pruned) -> None:
        """Go on behind records that are gone, as AUDIT_PRUNED says. Call after `expect`, before the first segment."""
        self._next = pruned.records
        self._seals.resume(pruned)
        self._contents.resume(pruned)

    def begin_segment(self, name: SegmentName, taken_over_at: int | None, file: str = "") -> None:
        """Go on with the next segment.

        Args:
            name: what the segment's name says.
            taken_over_at: the first number of the segment after it, if there is one.
            file: its name where that is another, as of a compressed one.
        """
        self._place = Place(file or str(name))
        self._first = self._expected = name.first_seq
        self._limit = _NEVER if taken_over_at is None else taken_over_at
        self._begun = False
        if name.first_seq > self._next:
            self._miss(name.first_seq)

    # -- lines

    def feed_block(self, block: Block, number: int, byte: int, length: int) -> bool:
        """Take lines that are in order, the first of which is line `number`; False if they must be fed one by one."""
        end = block.first + block.records
        starts_well = block.first == self._next and (self._begun or block.first == self._first)
        opens = block.first > 0 or bool(block.controls and block.controls[0].seq == 0)
        ends = self.summary.closed or any(b'"AUDIT_CLOSE"' in control.record for control in block.controls)
        timed = block.first_ts and block.last_ts  # else the time of another record counts
        if not starts_well or not opens or ends or not timed or end > self._limit or self._copies:
            return False
        file = self._place.file
        self._begun, self._blame = True, Severity.TAMPERING
        self._next = self._expected = end
        self._seals.add_block(block)
        self._forget_sealed()
        self._stretches.append(Stretch(file, number, byte, length, end))
        self.summary.records += block.records
        self.summary.events += block.records - len(block.controls)
        self.summary.first_ts = self.summary.first_ts or block.first_ts
        for control in block.controls:
            place = Place(file, number + control.seq - block.first, byte + control.offset)
            self._contents.take(control.seq, control.record, place)
        self.summary.last_ts = block.last_ts
        self._contents.last_ns = block.last_ns if block.last_ns >= 0 else self._contents.last_ns
        return True

    def feed(self, line: bytes, number: int, byte: int) -> None:
        """Check one complete line, with its line feed."""
        self._place = Place(self._place.file, number, byte)
        try:
            found = self._parse(line)
        except FormatError as error:
            self.garble(f"not a record: {error}", number, byte)
            return
        self._begun = True
        self._expected = found.seq + 1
        if found.seq >= self._limit:
            self._copies.set_aside(found.seq, line, self._place)
        elif found.seq < self._next:
            self._report("out-of-order", Severity.TAMPERING, f"record {self._next} was expected here", found.seq)
        else:
            self._count(found, line)

    def garble(self, message: str, number: int, byte: int) -> None:
        """Take note of a line that is no record."""
        self._place = Place(self._place.file, number, byte)
        self._report("malformed", Severity.DAMAGE, message, self._next)
        self._blame, self._begun = Severity.DAMAGE, True

    def give_up(self, message: str, number: int, byte: int) -> None:
        """Take note that the segment cannot be read from here on."""
        self._place = Place(self._place.file, number, byte)
        self._report("unreadable", Severity.UNDECIDED, message, self._next)
        self._blame, self._begun = Severity.UNDECIDED, True

    def feed_rest(self, rest: bytes, number: int, byte: int, *, in_flight: bool) -> None:
        """Check the bytes after a segment's last line feed; `in_flight` says that its writer may still be at it."""
        expected = self._next if self._next < self._limit else self._expected
        if _overshoots(rest):
            self.garble("a record is followed by something else than a line feed", number, byte)
            return
        self._place = Place(self._place.file, number, byte)
        if expected >= self._limit:
            self._copies.set_aside(expected, rest, self._place, torn=True)
            return
        head = b'{"seq":%d,"ts":"' % expected
        if (
            not in_flight
            or self.summary.closed
            or len(rest) >= MAX_LINE_BYTES
            or rest[: len(head)] != head[: len(rest)]
        ):
            message = f"the last line is unfinished ({len(rest)} bytes)"
            found = self._report("torn", Severity.DAMAGE, message, self._next)
            self._blame = Severity.DAMAGE
            self.torn = Torn(self._next, rest, found) if self._limit == _NEVER else None

    def _parse(self, line: bytes) -> _Record:
        record, stated = from_line(line)
        head = HEAD.match(record)
        if head is None or len(line) > MAX_LINE_BYTES:
            raise FormatError("the line is too long, or does not begin with a number and a time")
        seq = int(head[1])
        if leaf_hash(record) == stated:
            if not self._begun and seq != self._first:
                message = f"the name of the segment says that it begins with record {self._first}"
                self._report("misnamed", Severity.TAMPERING, message, seq)
            return _Record(seq, record, stated, altered=False)
        expected = self._next if self._next < self._limit else self._expected
        believed = self._blame is Severity.DAMAGE and expected < seq < _NEVER
        return _Record(seq if believed else expected, record, stated, altered=True)

    def _count(self, found: _Record, line: bytes) -> None:
        if found.altered:
            self._report("altered", Severity.TAMPERING, "the record does not match its hash", found.seq)
        if found.seq > self._next:
            self._miss(found.seq)
        self._blame = Severity.TAMPERING
        self._copies.compare(found.seq, line)
        self._next = found.seq + 1
        self._seals.add(found.leaf)
        self.summary.records += 1
        self.summary.last_ts = time_of(found.record) or self.summary.last_ts
        self.summary.first_ts = self.summary.first_ts or self.summary.last_ts
        if found.altered:
            self.summary.events += CONTROL_MARK not in found.record
        else:
            self._contents.take(found.seq, found.record, self._place)

    def _miss(self, seq: int) -> None:
        last = f" to {seq - 1} are" if seq - 1 > self._next else " is"
        self._report("missing", self._blame, f"record{'s' * ('to' in last)} {self._next}{last} missing", self._next)
        self._blame = Severity.TAMPERING
        self._seals.lose(self._next)
        self._next = seq

    # -- the end

    def unread(self) -> Iterator[Stretch]:
        """Yield the stretches in which records are that no good checkpoint covers; feed their lines to `inspect`."""
        self._forget_sealed()
        yield from self._stretches

    def inspect(self, line: bytes, number: int, byte: int, file: str) -> None:
        """Look closer at a line of an unread stretch; what may be a control record was looked at with its block."""
        if CONTROL_MARK in line:
            return
        record = from_line(line)[0]
        head = HEAD.match(record)
        if head is not None and int(head[1]) >= self._seals.sealed:
            self._contents.inspect(int(head[1]), record, Place(file, number, byte))

    def finish(self) -> None:
        """Draw the conclusions that need the end."""
        self._seals.finish(self._next)
        self._contents.finish(self._next - 1)

    def _forget_sealed(self) -> None:
        while self._stretches and self._stretches[0].end <= self._seals.sealed:
            self._stretches.popleft()

    def _report(self, kind: str, severity: Severity, message: str, seq: int) -> Finding:
        return self.findings.add(kind, severity, message, seq, self._place)


def _overshoots(rest: bytes) -> bool:
    """Whether an unfinished line holds a whole record and something else where its line feed belongs."""
    for tail in _TAIL.finditer(rest):
        record, stated = from_line(rest[: tail.end()])
        if leaf_hash(record) == stated:
            return tail.end() < len(rest)
    return False
