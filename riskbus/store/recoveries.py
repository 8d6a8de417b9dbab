"""Torn last lines that are no damage, because a later incarnation has the record that was being written."""

import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple, Self

from riskbus.errors import FormatError
from riskbus.format.checking import IncarnationChecker
from riskbus.format.findings import Finding, Severity
from riskbus.format.record import from_line, leaf_hash
from riskbus.format.recovery import Recovered, Torn
from riskbus.store.logs import IncarnationFiles
from riskbus.store.reading import open_segment
from riskbus.store.scanning import WHOLE, read_pieces


class Checked(NamedTuple):
    """What is left of an incarnation's check.

    Attributes:
        files: where it stands.
        torn: what stands after its last line feed, if that is torn.
        recovered: what it says of earlier incarnations; nothing where anything in it looks like tampering.
        sound: whether nothing in it does.
    """

    files: IncarnationFiles
    torn: Torn | None
    recovered: Sequence[Recovered]
    sound: bool

    @classmethod
    def of(cls, checker: IncarnationChecker, files: IncarnationFiles) -> Self:
        """Return what is left of a check that has ended."""
        sound = all(finding.severity is not Severity.TAMPERING for finding in checker.findings.listed)
        return cls(files, checker.torn, checker.recovered if sound else (), sound)


def recovered(checked: Sequence[Checked]) -> Iterator[tuple[Finding, Finding]]:
    """Yield findings of torn lines that are no damage, each with the note that belongs in its place."""
    for one in checked:
        if one.torn is not None and (reason := _explanation(one.files.incarnation, one.torn, checked)):
            finding = one.torn.finding
            message = f"{finding.message}; {reason}"
            yield finding, replace(finding, kind="torn-recovered", severity=Severity.NOTE, message=message)


def _explanation(incarnation: str, torn: Torn, checked: Sequence[Checked]) -> str:
    """Return where the record is that was being written, "" if that is not shown."""
    for later in checked:
        by = later.files.incarnation
        for said in later.recovered if by > incarnation else ():
            if said.incarnation != incarnation:
                continue
            own = said.own_record(torn.seq)
            if own is not None and torn.begins(own):
                return f"{by} says what it was to be, a record of the log's own"
            where = said.into or by
            for seq in said.moved_to(torn.seq):
                records = (_record(one.files, seq) for one in checked if one.sound and one.files.incarnation == where)
                if any(record is not None and torn.begins(record) for record in records):
                    return f"the whole record is record {seq} of {where}"
    return ""


def _record(files: IncarnationFiles, seq: int) -> bytes | None:
    """Return the record with this number that counts, if it matches its hash, None if it is not there."""
    holder = next((segment for segment in reversed(files.segments) if segment.name.first_seq <= seq), None)
    if holder is None:
        return None
    with suppress(OSError), open_segment(holder.path) as file:
        for piece in read_pieces(file, WHOLE):
            for line in io.BytesIO(piece.data if piece.data and piece.length == len(piece.data) else b""):
                record = _good_record(line) if line.startswith(b'{"seq":%d,"ts":"' % seq) else None
                if record is not None:
                    return record
    return None


def _good_record(line: bytes) -> bytes | None:
    with suppress(FormatError):
        record, stated = from_line(line)
        if line.endswith(b"\n") and leaf_hash(record) == stated:
            return record
    return None
