"""A torn last line, and the record that was being written: a later incarnation has it, and declares it.

Where a process is killed in the middle of a write, half a line is left behind. If its staging ring outlived it, nothing
is lost: the next incarnation writes the record under a new number, and AUDIT_RECOVERED says which.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from riskbus.errors import FormatError
from riskbus.format.findings import Finding
from riskbus.format.record import leaf_hash, read, renumber, to_line

KIND = "AUDIT_RECOVERED"
_NEVER = 1 << 63  # a number that no record reaches


class Torn(NamedTuple):
    """What stands after the last line feed of an incarnation.

    Attributes:
        seq: the number after the last record that counts.
        rest: the bytes.
        finding: what it is if nothing explains it.
    """

    seq: int
    rest: bytes
    finding: Finding

    def begins(self, record: bytes) -> bool:
        """Whether the line of this record, under the number of the torn one, begins with the rest."""
        numbered = renumber(self.seq, record)
        return to_line(numbered, leaf_hash(numbered)).startswith(self.rest)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What an AUDIT_RECOVERED says of records that an earlier incarnation had accepted and not written.

    Attributes:
        incarnation: the earlier one.
        into: in which incarnation they stand now, "" for the one that says so.
        runs: old number, new number, and how many.
        unfinished: the record of the log's own that the earlier one was about to write, which nobody writes again; ""
            if there was none.
    """

    incarnation: str
    into: str
    runs: tuple[tuple[int, int, int], ...]
    unfinished: str

    def moved_to(self, seq: int) -> list[int]:
        """Return the new numbers of a record; more than one where runs contradict each other."""
        return [new + seq - old for old, new, count in self.runs if old <= seq < old + count]

    def own_record(self, seq: int) -> bytes | None:
        """Return the record of the log's own with this number that was never finished, None if it names none."""
        record = self.unfinished.encode()
        try:
            fields = read(record)
        except FormatError:
            return None
        return record if fields["event_type"].startswith("AUDIT_") and fields["seq"] == seq else None


def parse_recovered(data: object) -> Recovered | None:
    """Read the payload of AUDIT_RECOVERED; None if it is about something else than an earlier incarnation."""
    if not isinstance(data, Mapping):
        return None
    incarnation, into, unfinished = (data.get(name, "") for name in ("incarnation", "into", "unfinished"))
    if not isinstance(incarnation, str) or not incarnation:
        return None
    runs = data.get("runs")
    return Recovered(
        incarnation,
        into if isinstance(into, str) else "",
        tuple((run[0], run[1], run[2]) for run in runs if _is_run(run)) if isinstance(runs, list) else (),
        unfinished if isinstance(unfinished, str) else "",
    )


def _is_run(run: object) -> bool:
    return (
        isinstance(run, list)
        and len(run) == len(("old", "new", "how many"))
        and all(type(number) is int and 0 <= number < _NEVER for number in run)
    )
