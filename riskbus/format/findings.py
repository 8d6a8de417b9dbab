"""What a verification finds, and what that means."""

from dataclasses import asdict, dataclass
from enum import IntEnum, StrEnum


class Dimension(StrEnum):
    """The separate questions that a verification answers."""

    INTEGRITY = "integrity"
    COMPLETENESS = "completeness"
    AUTHENTICITY = "authenticity"
    ANCHORING = "anchoring"


class Severity(IntEnum):
    """What a finding says about the log. The numbers are the exit codes of `riskbus verify`."""

    TAMPERING = 1
    DAMAGE = 2
    UNDECIDED = 3
    DECLARED_GAP = 4


SEVEREST_FIRST = (Severity.TAMPERING, Severity.DAMAGE, Severity.UNDECIDED, Severity.DECLARED_GAP)


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was found.

    Attributes:
        file: name of the segment, "" if it concerns none.
        line: from 1, 0 for none.
        byte: offset of the line in the file, -1 for none.
    """

    file: str = ""
    line: int = 0
    byte: int = -1


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        kind: machine-readable, for example "altered".
        dimension: which question it bears on.
        severity: what it means.
        message: one sentence.
        incarnation: which incarnation it concerns.
        seq: number of the record, -1 if it concerns none.
        place: where.
    """

    kind: str
    dimension: Dimension
    severity: Severity
    message: str
    incarnation: str
    seq: int = -1
    place: Place = Place()

    def as_dict(self) -> dict[str, object]:
        """Return the finding for JSON."""
        fields = asdict(self)
        place = fields.pop("place")
        return {**fields, "severity": self.severity.name.lower(), **place}
