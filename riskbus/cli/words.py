"""The five verdicts of a verification in words."""

from riskbus.format.findings import SEVEREST_FIRST, Dimension, Severity
from riskbus.store.verification import StreamReport


def verdict_lines(stream: StreamReport, *, anchored: bool) -> list[str]:
    """Return one line for each question that a verification answers about a stream."""
    covered = sum(summary.anchored for summary in stream.incarnations)
    sealed = sum(summary.sealed for summary in stream.incarnations)
    unsealed = sum(summary.unsealed for summary in stream.incarnations)
    fine = {
        Dimension.INTEGRITY: "intact; every record matches its hash and is in its place",
        Dimension.COMPLETENESS: "complete; no number is missing",
        Dimension.AUTHENTICITY: f"sealed; valid checkpoints cover {sealed:,} records",
        Dimension.ANCHORING: f"confirmed; anchors and successors prove {covered:,} records",
    }
    if not anchored:
        fine[Dimension.ANCHORING] = "not compared with anything kept elsewhere; give --anchor"
    lines = [f"  {dimension + ':':<14} {_verdict(stream, dimension, fine[dimension])}" for dimension in Dimension]
    rest = f"{unsealed:,} records after the newest checkpoint" if unsealed else "none"
    return [*lines, f"  {'unsealed rest:':<14} {rest}"]


def _verdict(stream: StreamReport, dimension: Dimension, fine: str) -> str:
    counts = dict.fromkeys(SEVEREST_FIRST, 0)
    for finding in stream.findings:
        if finding.dimension is dimension:
            counts[finding.severity] += 1
    said = [f"{_NAMES[severity]} ({count} findings)" for severity, count in counts.items() if count]
    return ", ".join(said).replace("(1 findings)", "(1 finding)") or fine


_NAMES = {
    Severity.TAMPERING: "TAMPERED WITH",
    Severity.DAMAGE: "DAMAGED",
    Severity.UNDECIDED: "CANNOT DECIDE",
    Severity.DECLARED_GAP: "GAPS DECLARED BY THE WRITER",
}
