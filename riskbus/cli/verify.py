"""`riskbus verify`: prove what an audit log holds, or say what is wrong with it."""

import sys
from argparse import Namespace, RawDescriptionHelpFormatter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from riskbus.cli.progress import ProgressBar
from riskbus.cli.words import verdict_lines
from riskbus.errors import SettingsError
from riskbus.format.anchors import Anchor, parse_anchors
from riskbus.format.findings import SEVEREST_FIRST, Finding, Severity
from riskbus.store.verification import StreamReport, VolumeReport, total_size, verify_tree

if TYPE_CHECKING:
    from argparse import _SubParsersAction

CONCLUSIONS = (
    "Nothing is wrong.",
    "The log was tampered with.",
    "The log is damaged.",
    "It cannot be decided whether the log is as it was written.",
    "The log is intact, and its writer declares that events were lost.",
)
"""One sentence for each exit code."""


def add_to(commands: "_SubParsersAction[Any]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "verify",
        help="prove that an audit log is complete and unaltered, or say what is wrong with it",
        description="Recompute every hash, tree and signature of every stream in DIR and below, from the bytes alone.\n"
        "Works while the log is being written; the writer's unfinished last line is no damage.",
        epilog="examples:\n"
        "  riskbus verify /var/log/intraday-jules             one log, also while it is written\n"
        "  riskbus verify /archive --anchor pod-output.txt    many, compared with what a pod said at the time\n"
        "\n"
        "exit codes:\n"
        "  0   fine\n"
        "  1   tampering: records were altered, removed, reordered or added\n"
        "  2   damage: torn or unreadable lines\n"
        "  3   cannot decide: seals or whole incarnations are absent, or there is nothing to verify\n"
        "  4   intact, with gaps that the writer itself declared\n"
        "  64  wrong usage\n"
        "\n"
        "anchors:\n"
        "  A checkpoint that was kept away from the volume shows truncation and roll-back, which nothing on\n"
        "  the volume itself can. Give the output of the container (kubectl logs), RiskAuditReports as JSON\n"
        "  (kubectl get riskauditreports -o json), or a signed note.",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="a stream's directory, or one above several")
    parser.add_argument("--anchor", metavar="FILE", type=Path, action="append", default=[], help="compare with anchors")
    parser.add_argument("--json", action="store_true", help="say everything as one JSON document")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Verify and say the result; returns the exit code.

    Raises:
        SettingsError: DIR is not a directory, or an anchor's file cannot be read.
        FormatError: an anchor's file holds none.
    """
    directory: Path = options.directory
    if not directory.is_dir():
        raise SettingsError(f"{directory} is not a directory; give the directory that holds the audit log's segments")
    anchors: list[Anchor] = []
    for file in options.anchor:
        anchors += parse_anchors(_read(file), str(file))
    try:
        with ProgressBar("verifying", total_size(directory)) as bar:
            report = verify_tree(directory, anchors, bar.advance)
    except OSError as error:
        sys.stderr.write(f"riskbus: cannot read the log: {error}\n")
        return Severity.UNDECIDED
    worst = report.worst
    code = 0 if worst is None else int(worst)
    if options.json:
        sys.stdout.buffer.write(orjson.dumps(as_document(report, code), option=orjson.OPT_APPEND_NEWLINE))
    else:
        sys.stdout.write("\n".join([*as_text(report, directory, code, anchored=bool(anchors)), ""]))
    return code


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SettingsError(f"the anchor {file} cannot be read: {error.strerror}") from None


def as_document(report: VolumeReport, code: int) -> dict[str, Any]:
    """Return the result for machines."""
    return {
        "exit_code": code,
        "conclusion": CONCLUSIONS[code],
        "streams": [
            {
                "directory": str(stream.directory),
                "stem": stream.stem,
                "segments": stream.segments,
                "bytes": stream.size,
                "incarnations": stream.incarnations,
                "findings": [finding.as_dict() for finding in stream.findings],
            }
            for stream in report.streams
        ],
        "strays": [finding.as_dict() for finding in report.strays],
    }


def as_text(report: VolumeReport, directory: Path, code: int, *, anchored: bool) -> list[str]:
    """Return the result for people, line by line, so that it can be read aloud."""
    lines: list[str] = []
    if not report.streams:
        lines.append(f"There is no audit log in {directory} or below.")
    for stream in report.streams:
        lines += [*_describe(stream), *verdict_lines(stream, anchored=anchored), ""]
    if report.findings:
        lines += ["Findings, the worst first:", *_findings(report.findings), ""]
    return [*lines, f"{CONCLUSIONS[code]} (exit code {code})"]


def _describe(stream: StreamReport) -> list[str]:
    summaries = stream.incarnations
    records = sum(summary.records for summary in summaries)
    events = sum(summary.events for summary in summaries)
    first = min((summary.first_ts for summary in summaries if summary.first_ts), default="")
    last = max((summary.last_ts for summary in summaries), default="")
    return [
        f"{stream.directory / stream.stem}",
        f"  incarnations: {len(summaries):,}; segments: {stream.segments:,}; bytes: {stream.size:,}",
        f"  records: {records:,}, of which {events:,} are events, from {first} to {last}",
    ]


def _findings(findings: list[Finding]) -> list[str]:
    ordered = sorted(findings, key=lambda finding: SEVEREST_FIRST.index(finding.severity))
    return [_sentence(finding) for finding in ordered]


def _sentence(finding: Finding) -> str:
    place = finding.place
    where = [f"incarnation {finding.incarnation}"] if not place.file else [place.file]
    where += [f"line {place.line}"] if place.line else []
    where += [f"seq {finding.seq}"] if finding.seq >= 0 else []
    where += [f"byte {place.byte}"] if place.byte >= 0 else []
    name = finding.severity.name.lower().replace("_", " ")
    return f"  {name}, {finding.kind}: {finding.message} [{', '.join(where)}]"
