"""What a log declares to be pruned, so that what is gone by rule is told from what was removed."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from riskbus.errors import FormatError
from riskbus.format.anchors import Anchor
from riskbus.format.findings import Finding, Severity
from riskbus.format.pruning import KIND, Pruned, parse_pruned
from riskbus.format.record import from_line, leaf_hash, read
from riskbus.store.logs import IncarnationFiles
from riskbus.store.reading import open_segment


@dataclass(frozen=True, slots=True)
class Declaration:
    """An AUDIT_PRUNED record.

    Attributes:
        pruned: what it says.
        by: the incarnation in which it stands.
        seq: its number there.
    """

    pruned: Pruned
    by: str
    seq: int


class Declarations:
    """The AUDIT_PRUNED records of one stream, and which of them were needed to explain what is not there."""

    def __init__(self, found: Sequence[IncarnationFiles]) -> None:
        self._all: dict[str, list[Declaration]] = {}
        for files in found:
            for segment in files.segments:
                with suppress(OSError):  # the verification says so
                    for declaration in _declarations_in(segment.path, files.incarnation):
                        self._all.setdefault(declaration.pruned.incarnation, []).append(declaration)
        self._used: dict[str, Declaration] = {}

    def beginning(self, files: IncarnationFiles) -> Pruned | None:
        """Return what is said about the records before an incarnation's first segment."""
        first = files.segments[0].name.first_seq
        fitting = [found for found in self._all.get(files.incarnation, ()) if found.pruned.records <= first]
        if not first or not fitting:
            return None
        best = max(fitting, key=lambda found: found.pruned.records)
        self._used[files.incarnation] = best
        return best.pruned

    def explain(self, incarnation: str, anchors: Sequence[Anchor]) -> bool:
        """Whether an incarnation that is not there was pruned, and these anchors of it prove nothing else.

        Streams are pruned from the oldest on, so whatever is older than what was declared has gone before it.
        """
        own = self._all.get(incarnation)
        if own:
            last = max(own, key=lambda found: found.pruned.records)
            self._used[incarnation] = last
            return all(_agrees(anchor, last.pruned) for anchor in anchors)
        return any(incarnation < other for other in self._all)

    def findings(self, sealed: dict[str, int]) -> Iterator[tuple[str, Finding]]:
        """Yield each declaration that was needed: in which incarnation it stands, and what it means.

        `sealed` says how many records of each incarnation good checkpoints cover.
        """
        for incarnation, used in self._used.items():
            pruned = used.pruned
            said = f"records 0 to {pruned.records - 1} are gone; record {used.seq} of {used.by} declares them pruned"
            if sealed.get(used.by, 0) > used.seq:
                message = f"{said}, with the root over them"
                yield used.by, Finding("pruned", Severity.DECLARED_GAP, message, incarnation)
            else:
                message = f"{said}, but no good checkpoint covers it, and nothing is pruned before one does"
                yield used.by, Finding("pruned", Severity.TAMPERING, message, incarnation)


def control_records(segment: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield number, type and data of the log's own records that match their hash; raises OSError."""
    with open_segment(segment) as file:
        for line in file:
            if b'"event_type":"AUDIT_' in line and line.endswith(b"\n"):
                with suppress(FormatError):
                    record, stated = from_line(line)
                    fields = read(record)
                    if leaf_hash(record) == stated and isinstance(fields["data"], dict):
                        yield fields["seq"], fields["event_type"], fields["data"]


def _declarations_in(segment: Path, incarnation: str) -> Iterator[Declaration]:
    for seq, kind, data in control_records(segment):
        if kind == KIND:
            with suppress(FormatError):
                yield Declaration(parse_pruned(data), incarnation, seq)


def _agrees(anchor: Anchor, pruned: Pruned) -> bool:
    return anchor.checkpoint.size <= pruned.records and anchor.key in {"", pruned.public_key}
