"""`riskbus verify`: prove what an audit log holds, or say what is wrong with it."""

import os
import sys
from argparse import ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from riskbus.cli import arguments
from riskbus.cli.progress import ProgressBar
from riskbus.cli.words import CONCLUSIONS, as_text
from riskbus.errors import SettingsError
from riskbus.format.anchors import Anchor, parse_anchors
from riskbus.format.findings import Dimension, Severity
from riskbus.store.logs import printable
from riskbus.store.verification import StreamReport, VolumeReport, total_size, verify_tree

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_PARALLEL_FROM = 64 << 20  # bytes; below, starting processes takes longer than they save


def add_to(commands: "_SubParsersAction[Any]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "verify",
        help="prove that an audit log is complete and unaltered, or say what is wrong with it",
        description="Recompute every hash, tree and signature of every stream in DIR and below, from the bytes alone.\n"
        "Works while the log is being written; the writer's unfinished last line is no damage. Nor is one that a kill\n"
        "left, if the next process has its record: then a note says so.",
        epilog="examples:\n"
        "  riskbus verify /var/log/intraday-jules             one log, also while it is written\n"
        "  riskbus verify /archive --anchor pod-output.txt    many, compared with what a pod said at the time\n"
        "\n"
        "exit codes:\n"
        "  0   fine\n"
        "  1   tampering: records were altered, removed, reordered or added\n"
        "  2   damage: torn or unreadable lines\n"
        "  3   cannot decide: seals or whole incarnations are absent, or there is nothing to verify\n"
        "  4   intact, with gaps that the log itself declares: lost events, pruned segments\n"
        "  64  wrong usage\n"
        "\n"
        "anchors:\n"
        "  A checkpoint that was kept away from the volume shows truncation and roll-back, which nothing on\n"
        "  the volume itself can. Give the output of the container (kubectl logs), RiskAuditReports as JSON\n"
        "  (kubectl get riskauditreports -o json), or a signed note.",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "directories",
        metavar="DIR",
        type=arguments.path,
        nargs="+",
        help="a stream's directory, or one above several; several where a log is spread over them",
    )
    parser.add_argument(
        "--anchor", metavar="FILE", type=arguments.path, action="append", default=[], help="compare with anchors"
    )
    parser.add_argument("--json", action="store_true", help="say everything as one JSON document (docs/format.md)")
    parser.add_argument(
        "--jobs", metavar="N", type=_jobs, default=len(os.sched_getaffinity(0)), help="processes; one for each core"
    )
    parser.set_defaults(run=run)


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is not a number of processes")
    return int(text)


def run(options: Namespace) -> int:
    """Verify and say the result; returns the exit code.

    Raises:
        SettingsError: DIR is not a directory, or an anchor's file cannot be read.
        FormatError: an anchor's file holds none.
    """
    directories: list[Path] = options.directories
    for directory in directories:
        if not directory.is_dir():
            raise SettingsError(f"{directory} is not a directory; give the directory that holds the log's segments")
    anchors: list[Anchor] = []
    for file in options.anchor:
        anchors += parse_anchors(_read(file), str(file))
    try:
        size = total_size(directories)
        jobs = options.jobs if size >= _PARALLEL_FROM else 1
        with ProgressBar("verifying", size) as bar:
            report = verify_tree(directories[0], anchors, bar.advance, others=directories[1:], jobs=jobs)
    except OSError as error:
        sys.stderr.write(f"riskbus: cannot verify the log: {error}\n")
        return Severity.UNDECIDED
    code = int(report.worst or 0)
    if options.json:
        sys.stdout.buffer.write(orjson.dumps(as_document(report, code), option=orjson.OPT_APPEND_NEWLINE))
    else:
        sys.stdout.write("\n".join([*as_text(report, ", ".join(map(str, directories)), code), ""]))
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
        "streams": [_stream(stream) for stream in report.streams],
        "strays": [finding.as_dict() for finding in report.strays],
    }


def _stream(stream: StreamReport) -> dict[str, Any]:
    worst = {dimension: stream.worst_of(dimension) for dimension in Dimension}
    verdicts = {str(dimension): severity.name.lower() if severity else "fine" for dimension, severity in worst.items()}
    if not stream.compared and not worst[Dimension.ANCHORING]:
        verdicts["anchoring"] = "not_compared"
    return {
        "directory": printable(str(stream.directory)),
        "stem": printable(stream.stem),
        "segments": stream.segments,
        "bytes": stream.size,
        "verdicts": verdicts,
        "incarnations": stream.incarnations,
        "findings": [finding.as_dict() for finding in stream.findings],
        "omitted": stream.omitted,
    }
