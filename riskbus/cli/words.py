"""The result of a verification in words, so that it can be read aloud."""

from riskbus.format.contents import Summary
from riskbus.format.findings import SEVEREST_FIRST, Dimension, Finding, Severity
from riskbus.store.logs import printable
from riskbus.store.verification import StreamReport, VolumeReport

CONCLUSIONS = (
    "Nothing is wrong.",
    "The log was tampered with.",
    "The log is damaged.",
    "It cannot be decided whether the log is as it was written.",
    "The log is intact, and declares what is not in it: events that were lost, or segments that were pruned.",
)
"""One sentence for each exit code."""

_NAMES = {
    Severity.TAMPERING: "TAMPERED WITH",
    Severity.DAMAGE: "DAMAGED",
    Severity.UNDECIDED: "CANNOT DECIDE",
    Severity.DECLARED_GAP: "GAPS DECLARED BY THE WRITER",
}
_SHOWN = 12  # incarnations: what fits on a screen; --json has all


def as_text(report: VolumeReport, where: str, code: int) -> list[str]:
    """Return the result, line by line. `where` names what was verified."""
    lines: list[str] = []
    if not report.streams:
        lines.append(f"There is no audit log in {printable(where)} or below.")
    for stream in report.streams:
        lines += [*_describe(stream), *_verdicts(stream), *_unproven(stream), ""]
    if report.findings:
        lines += ["Findings, the worst first:", *_findings(report.findings), ""]
        lines += [f"  and {count:,} more of the kind {kind}" for kind, count in _omitted(report).items()]
    return [*lines, f"{CONCLUSIONS[code]} (exit code {code})"]


def _describe(stream: StreamReport) -> list[str]:
    summaries = stream.incarnations
    records = sum(summary.records for summary in summaries)
    events = sum(summary.events for summary in summaries)
    first = min((summary.first_ts for summary in summaries if summary.first_ts), default="")
    last = max((summary.last_ts for summary in summaries), default="")
    lines = [
        printable(str(stream.directory / stream.stem)),
        f"  checked: {_count(records, 'record')}, of which {events:,} are events, from {first or '?'} to {last or '?'}",
        f"  in {_count(stream.segments, 'segment')} of {_count(len(summaries), 'incarnation')}, {stream.size:,} bytes",
    ]
    hidden = len(summaries) - _SHOWN
    lines += [f"  {hidden:,} earlier incarnations are not shown here; --json has them"] if hidden > 0 else []
    return lines + [_incarnation(summary) for summary in summaries[-_SHOWN:]]


def _incarnation(summary: Summary) -> str:
    end = "ended in order" if summary.closed else "has no AUDIT_CLOSE: it lives, or its process was ended"
    key = summary.public_key.removeprefix(f"{summary.stream}/{summary.incarnation}+") or "unknown"
    return f"  {summary.incarnation}: {_count(summary.records, 'record')} to {summary.last_ts or '?'}, key {key}; {end}"


def _verdicts(stream: StreamReport) -> list[str]:
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
    if not stream.compared:
        fine[Dimension.ANCHORING] = "not compared with anything kept elsewhere; give --anchor"
    lines = [f"  {dimension + ':':<14} {_verdict(stream, dimension) or fine[dimension]}" for dimension in Dimension]
    rest = f"{unsealed:,} records after the newest checkpoint" if unsealed else "none"
    return [*lines, f"  {'unsealed rest:':<14} {rest}"]


def _verdict(stream: StreamReport, dimension: Dimension) -> str:
    counts = dict.fromkeys(_NAMES, 0)
    for finding in stream.findings:
        if finding.dimension is dimension and finding.severity in counts:
            counts[finding.severity] += 1
    said = [f"{_NAMES[severity]} ({_count(count, 'finding')})" for severity, count in counts.items() if count]
    return ", ".join(said)


def _unproven(stream: StreamReport) -> list[str]:
    """Return what nobody may conclude from the result, beyond the findings."""
    open_ends = sum(summary.anchored < summary.sealed for summary in stream.incarnations)
    unsealed = sum(summary.unsealed for summary in stream.incarnations)
    lines = []
    if unsealed:
        lines.append(
            f"  not proven:    that {unsealed:,} records are the writer's; no good checkpoint covers them, and their"
            " own hash anyone can make again"
        )
    if open_ends:
        lines.append(
            f"  not proven:    whose keys signed, and that nothing is cut off at the end, of"
            f" {_count(open_ends, 'incarnation')}; only an anchor that covers everything can show that"
        )
    return lines


def _findings(findings: list[Finding]) -> list[str]:
    ordered = sorted(findings, key=lambda finding: SEVEREST_FIRST.index(finding.severity))
    return [_sentence(finding) for finding in ordered]


def _sentence(finding: Finding) -> str:
    place = finding.place
    where = [place.file] if place.file else [f"incarnation {finding.incarnation}"]
    where += [f"line {place.line}"] if place.line else []
    where += [f"seq {finding.seq}"] if finding.seq >= 0 else []
    where += [f"byte {place.byte}"] if place.byte >= 0 else []
    name = finding.severity.name.lower().replace("_", " ")
    return f"  {name}, {finding.kind}: {finding.message} [{', '.join(where)}]"


def _omitted(report: VolumeReport) -> dict[str, int]:
    kinds = {kind for stream in report.streams for kind in stream.omitted}
    return {kind: sum(stream.omitted.get(kind, 0) for stream in report.streams) for kind in sorted(kinds)}


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'s' * (number != 1)}"
