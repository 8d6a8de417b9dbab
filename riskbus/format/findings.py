"""What a verification finds, and what that means."""

from collections import Counter
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

    NOTE = 0  # nothing is wrong; it is told of all the same
    TAMPERING = 1
    DAMAGE = 2
    UNDECIDED = 3
    DECLARED_GAP = 4


SEVEREST_FIRST = (Severity.TAMPERING, Severity.DAMAGE, Severity.UNDECIDED, Severity.DECLARED_GAP, Severity.NOTE)

DIMENSIONS = {
    kind: dimension
    for dimension, kinds in {
        Dimension.INTEGRITY: "malformed torn torn-recovered altered out-of-order misnamed contradicted unopened "
        "misplaced after-close version unreadable",
        Dimension.COMPLETENESS: "missing absent pruned gap",
        Dimension.AUTHENTICITY: "seal keyless signature root unproved unsealed",
        Dimension.ANCHORING: "anchor key truncated removed stray",
    }.items()
    for kind in kinds.split()
}
"""On which question each kind of finding bears."""

_MAX_LISTED = 1000  # findings of one kind in an incarnation: enough to look into, few enough to keep


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


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        kind: machine-readable, for example "altered".
        severity: what it means.
        message: one sentence.
        incarnation: which incarnation it concerns.
        seq: number of the record, -1 if it concerns none.
        place: where.
    """

    kind: str
    severity: Severity
    message: str
    incarnation: str
    seq: int = -1
    place: Place = NOWHERE

    @property
    def dimension(self) -> Dimension:
        """On which question it bears."""
        return DIMENSIONS[self.kind]

    def as_dict(self) -> dict[str, object]:
        """Return the finding for JSON."""
        fields = asdict(self)
        place = fields.pop("place")
        return {**fields, "dimension": self.dimension, "severity": self.severity.name.lower(), **place}


class Findings:
    """What was found in one incarnation: everything is counted, and the first thousand of each kind are kept.

    Attributes:
        listed: those that are kept.
    """

    def __init__(self, incarnation: str) -> None:
        self.listed: list[Finding] = []
        self._incarnation = incarnation
        self._counts: Counter[str] = Counter()
        self._once: set[tuple[str, Severity]] = set()

    def add(self, kind: str, severity: Severity, message: str, seq: int, place: Place = NOWHERE) -> Finding:
        """Add a finding, and return it, kept or not."""
        self._counts[kind] += 1
        finding = Finding(kind, severity, message, self._incarnation, seq, place)
        if self._counts[kind] <= _MAX_LISTED:
            self.listed.append(finding)
        return finding

    def add_once(self, kind: str, severity: Severity, message: str, seq: int, place: Place = NOWHERE) -> None:
        """Add a finding unless there is one of this kind and severity: what follows from it says nothing new."""
        if (kind, severity) not in self._once:
            self._once.add((kind, severity))
            self.add(kind, severity, message, seq, place)

    @property
    def omitted(self) -> dict[str, int]:
        """How many of a kind are counted and not kept."""
        return {kind: count - _MAX_LISTED for kind, count in self._counts.items() if count > _MAX_LISTED}


def worst(findings: list[Finding]) -> Severity | None:
    """Return the severest severity of findings, None where there are none but notes."""
    severities = {finding.severity for finding in findings} - {Severity.NOTE}
    return next((severity for severity in SEVEREST_FIRST if severity in severities), None)
