"""`riskbus ingest`: put emergency copies from a container's output back into the log."""

import sys
from argparse import Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from riskbus.cli import arguments
from riskbus.cli.progress import ProgressBar
from riskbus.cli.rendering import plain
from riskbus.errors import SettingsError
from riskbus.format.collected import Joiner
from riskbus.format.emergency import Collector, Emergency
from riskbus.format.output import anchor_line
from riskbus.format.record import decode
from riskbus.runtime.ingestion import Ingested, Request, ingest, log_size, preview
from riskbus.settings import AuditSettings
from riskbus.store.stream import list_segments

if TYPE_CHECKING:
    from argparse import _SubParsersAction

CONFLICTS, INCOMPLETE, WAITING = 1, 2, 3
_SHOWN = 20  # of one kind in the text; --json has them all
_WIDTH = 300  # characters of a record in the text
_CONCLUSIONS = (
    "Every record is in its place.",
    "Records were refused; keep the output, and find out which of the two is true.",
    "Some records could not be put in place; give all the output that there is.",
    "Some records are left to a process that will write them.",
)


def add_to(commands: "_SubParsersAction[Any]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "ingest",
        help="put records from the output of a container back into the audit log",
        description="While a volume refuses records, they go to standard output as AUDIT_EMERGENCY lines. If the\n"
        "process ended before the volume took them, this puts them back: to the end of their incarnation where they\n"
        "fit without a gap and without missing a seal, else into an incarnation of its own that is sealed and names\n"
        "their origin. What is there already is left alone, so it may be done again, with the same output or more.\n"
        "\n"
        "Give the output as it was collected: kubectl logs (with --prefix or --timestamps too), the files of\n"
        "containerd or CRI-O, Docker's json-file, JSON of a log shipper. Other lines are ignored; order and\n"
        "repetitions do not matter. Run it when the volume takes records again, and after the workload was\n"
        "started once more.",
        epilog="examples:\n"
        "  kubectl logs my-pod --previous | riskbus ingest /audit\n"
        "  riskbus ingest /audit/risk_audit.jsonl /var/log/pods/*/main/*.log --dry-run\n"
        "\n"
        "exit codes:\n"
        "  0   everything is in its place\n"
        "  1   a record was refused: another one has its number\n"
        "  2   something could not be read, or belongs to another log\n"
        "  3   a process still has to write some of the records itself; run it again later\n"
        "  64  wrong usage, or another ingest is at work\n"
        "  74  something could not be read or written; run it again\n"
        "The first that applies, from 1 on, is the exit code; all other records are put in place all the same.",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "path", metavar="PATH", type=arguments.path, help="the directory of a log, or the path of a log in it"
    )
    parser.add_argument("files", metavar="FILE", nargs="*", default=["-"], help="output; - or none is standard input")
    second = "where the log goes on while its volume refuses; RISK_AUDIT_SECOND_DIR where it is not given"
    parser.add_argument("--second-dir", metavar="DIR", help=second)
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and write nothing")
    parser.add_argument(
        "--unknown", action="store_true", help="take records of incarnations that this log does not know"
    )
    parser.add_argument("--json", action="store_true", help="say everything as one JSON document")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Put the records in place and say what was done; returns the exit code.

    Raises:
        RiskBusError: there is no such log, or another process is at it.
        OSError: something cannot be read or written.
    """
    settings = AuditSettings.from_environment(path=_log_path(options.path), second_dir=options.second_dir)
    collector = Collector()
    with ProgressBar("reading the output", sum(map(_output_size, options.files))) as bar:
        for file in options.files:
            _collect(collector, file, bar)
    request = Request(collector.records(), options.files, collector.unreadable(), unknown=options.unknown)
    with ProgressBar("reading the log", log_size(settings)) as bar:
        put = preview if options.dry_run else ingest
        done = put(settings, request, bar.advance)
    code = _exit_code(done)
    if options.json:
        document = _document(collector, done, code)
        sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))
    else:
        sys.stdout.write("\n".join([*_text(collector, done, code, dry_run=options.dry_run), ""]))
    return code


def _log_path(path: Path) -> Path:
    if path.suffix == ".jsonl" and not path.is_dir():
        path, stems = path.parent, {path.stem}
    elif path.is_dir():
        stems = {name.stem for name in list_segments(path)}
    if not path.is_dir():
        raise SettingsError(f"{path} is not a directory; give the directory of the audit log's segments")
    if len(stems) > 1:
        names = ", ".join(f"{stem}.jsonl" for stem in sorted(stems))
        raise SettingsError(f"{path} holds several logs ({names}); give the path of one")
    return path / f"{stems.pop() if stems else 'risk_audit'}.jsonl"


def _output_size(file: str) -> int:
    return 0 if file == "-" else Path(file).stat().st_size


def _collect(collector: Collector, file: str, bar: ProgressBar) -> None:
    if file == "-":
        _feed(collector, sys.stdin.buffer, "standard input", bar)
    else:
        with Path(file).open("rb") as lines:
            _feed(collector, lines, file, bar)


def _feed(collector: Collector, lines: BinaryIO, name: str, bar: ProgressBar) -> None:
    joiner = Joiner()
    for number, part in enumerate(lines, 1):
        bar.advance(len(part))
        line = joiner.join(part)
        if line is not None:
            collector.feed(line, f"{name}, line {number}")


def _exit_code(done: Ingested) -> int:
    if done.plan.conflicts:
        return CONFLICTS
    if done.unreadable or done.plan.foreign:
        return INCOMPLETE
    return WAITING if done.plan.waiting else 0


def _document(collector: Collector, done: Ingested, code: int) -> dict[str, Any]:
    plan = done.plan
    kinds = {
        "present": plan.present,
        "appended": [copy for run in plan.appended.values() for copy in run],
        "adopted": plan.adopted,
        "waiting": plan.waiting,
        "dropped": plan.dropped,
        "foreign": plan.foreign,
    }
    return {
        "exit_code": code,
        "lines": collector.lines,
        **{kind: [_identity(copy) for copy in copies] for kind, copies in kinds.items()},
        "conflicts": [
            {**_identity(copy), "record": copy.record.decode(), "other": other.decode("utf-8", "replace")}
            for copy, other in plan.conflicts
        ],
        "unreadable": [item._asdict() for item in done.unreadable],
        "segments": [str(path) for path in done.segments],
        "anchor": {"key": done.public_key, "note": done.checkpoint.note} if done.checkpoint else None,
    }


def _identity(copy: Emergency) -> dict[str, Any]:
    return {"incarnation": copy.incarnation, "seq": copy.seq, "event_id": decode(copy.record)["event_id"]}


def _text(collector: Collector, done: Ingested, code: int, *, dry_run: bool) -> Iterator[str]:
    plan = done.plan
    put = "would be put" if dry_run else "put"
    yield f"{collector.lines:,} emergency lines with {len(collector.records()):,} records:"
    yield f"  {len(plan.present):>9,}  in the log already"
    yield f"  {sum(map(len, plan.appended.values())):>9,}  {put} at the end of their incarnation"
    yield f"  {len(plan.adopted):>9,}  {put} into an incarnation of their own"
    yield f"  {len(plan.waiting):>9,}  left to a process that will write them; run this again later"
    yield f"  {len(plan.dropped):>9,}  of the log itself, without a place any more; no event among them"
    yield f"  {len(plan.foreign):>9,}  of incarnations that are not of this log; --unknown takes them all the same"
    yield f"  {len(plan.conflicts):>9,}  refused, because another record has their number"
    yield f"  {len(done.unreadable):>9,}  not complete"
    for copy, other in plan.conflicts[:_SHOWN]:
        yield f"refused: incarnation {copy.incarnation}, seq {copy.seq}\n  {_show(copy.record)}\n  {_show(other)}"
    for item in done.unreadable[:_SHOWN]:
        whose = f" (incarnation {item.incarnation}, seq {item.seq})" if item.incarnation else ""
        yield f"not complete: {item.source}{whose}: {item.reason}"
    yield from (f"written: {path}" for path in done.segments)
    if done.checkpoint:
        yield anchor_line(done.checkpoint, done.public_key).decode().rstrip()
    yield f"{_CONCLUSIONS[code]} (exit code {code})"


def _show(record: bytes) -> str:
    text = plain(record.decode("utf-8", "replace"))
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}… ({len(record):,} bytes)"
