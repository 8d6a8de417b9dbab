"""`riskbus doctor`: is this place fit to keep an audit log?"""

import sys
from argparse import Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson

from riskbus.cli.checkup import Checkup, Result, examine

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_to(commands: "_SubParsersAction[Any]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "doctor",
        help="say whether environment, volume, memory, clock and output are fit for an audit log",
        description="The deployment checklist, run where the workload runs: in its pod, or in an init container.\n"
        "Says OK, WARN or FAIL about each thing, and what to do. Writes, syncs and removes small files in the\n"
        "directories that the audit log uses; changes nothing else, and may run beside a log that is written.",
        epilog="examples:\n"
        "  riskbus doctor                                       with the environment of this container\n"
        "  riskbus doctor --path /audit/risk_audit.jsonl        before RISK_AUDIT_LOG_PATH is set\n"
        "  kubectl exec my-pod -- riskbus doctor --json         for a machine\n"
        "\n"
        "exit codes:\n"
        "  0   fit: every line is OK or WARN\n"
        "  1   not fit: at least one line is FAIL\n"
        "  64  wrong usage",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--path", help="the audit log's path; RISK_AUDIT_LOG_PATH where it is not given")
    parser.add_argument("--json", action="store_true", help="say everything as one JSON document")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Look at everything and say it; returns the exit code."""
    checkup = examine(options.path)
    if options.json:
        sys.stdout.buffer.write(orjson.dumps(_document(checkup), option=orjson.OPT_APPEND_NEWLINE))
    else:
        sys.stdout.write("\n".join([*_text(checkup), ""]))
    return 0 if checkup.fit else 1


def _document(checkup: Checkup) -> dict[str, Any]:
    return {
        "fit": checkup.fit,
        "checks": [check._asdict() for check in checkup.checks],
        "settings": [setting._asdict() for setting in checkup.settings],
    }


def _text(checkup: Checkup) -> Iterator[str]:
    """Lines for people, the reasons last: Kubernetes shows the end of a failed container's output with the pod."""
    if checkup.settings:
        yield "Settings:"
    width = max((len(setting.variable) for setting in checkup.settings), default=0)
    for variable, value, source in checkup.settings:
        yield f"  {variable:<{width}}  {value or '(empty)'}  [{source}]"
    if checkup.settings:
        yield ""
    names = max(12, *(len(check.name) for check in checkup.checks))
    for check in checkup.checks:
        yield f"{check.result:<5} {check.name:<{names}} {check.message}"
    yield ""
    if checkup.fit:
        yield "This place is fit for an audit log."
        return
    yield "This place is not fit for an audit log:"
    for check in checkup.checks:
        if check.result is Result.FAIL:
            yield f"  {check.name}: {check.message}"
