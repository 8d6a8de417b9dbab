"""`riskbus doctor`: is this process' surroundings fit to keep an audit log?"""

import os
import sys
from argparse import Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from riskbus.clock import read_clock_status
from riskbus.errors import SettingsError
from riskbus.mount import MountReport, Verdict, validate_mount
from riskbus.settings import VARIABLES, AuditSettings

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class Line(NamedTuple):
    """One answer.

    Attributes:
        name: what was looked at.
        result: OK, WARN or FAIL.
        message: what was found, and what to do if it is not OK.
    """

    name: str
    result: str
    message: str


def add_to(commands: "_SubParsersAction[Any]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "doctor",
        help="say whether environment, volume, permissions and clock are fit for an audit log",
        description="The deployment checklist, run where the workload runs: in its pod, or in an init container.\n"
        "Writes, syncs and removes one small file in the audit log's directory.",
        epilog="exit codes:\n  0   fit (also with warnings)\n  1   not fit\n  64  wrong usage",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--path", help="the audit log's path; RISK_AUDIT_LOG_PATH where it is not given")
    parser.add_argument("--json", action="store_true", help="say everything as one JSON document")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Look at everything and say it; returns the exit code."""
    lines = list(examine(options.path))
    fit = all(line.result != "FAIL" for line in lines)
    if options.json:
        document = {"fit": fit, "checks": [line._asdict() for line in lines]}
        sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))
    else:
        said = [f"{line.result:<5} {line.name:<12} {line.message}" for line in lines]
        conclusion = "This place is fit for an audit log." if fit else "This place is not fit for an audit log."
        sys.stdout.write("\n".join([*said, conclusion, ""]))
    return 0 if fit else 1


def examine(path: str | None) -> Iterator[Line]:
    """Yield the answers, in the order in which problems are best solved."""
    try:
        settings = AuditSettings.from_environment(path=path)
    except SettingsError as error:
        yield Line("environment", "FAIL", f"{error}.")
        return
    yield _environment(settings, path)
    report = validate_mount(settings.path)
    yield _mount(report)
    if report.capacity_bytes:
        yield _space(report)
    yield _clock()
    yield _reporting(settings)


def _environment(settings: AuditSettings, path: str | None) -> Line:
    found = [variable for variable in VARIABLES.values() if variable in os.environ]
    if path is None and VARIABLES["path"] not in os.environ:
        message = (
            f"RISK_AUDIT_LOG_PATH is not set, so records go to {settings.path}; set it, or cover the workload with"
        )
        return Line("environment", "WARN", f"{message} a RiskAuditPolicy.")
    return Line("environment", "OK", f"records go to {settings.path}; set: {', '.join(found) or 'nothing'}.")


def _mount(report: MountReport) -> Line:
    results = {Verdict.VALID: "OK", Verdict.DEGRADED: "WARN", Verdict.INVALID: "FAIL"}
    return Line("mount", results[report.verdict], f"{report.verdict}/{report.reason}: {report.message}")


def _space(report: MountReport) -> Line:
    share = report.free_bytes / report.capacity_bytes
    inodes = "any number of" if report.free_inodes < 0 else f"{report.free_inodes:,}"
    message = (
        f"{report.free_bytes:,} of {report.capacity_bytes:,} bytes free ({share:.0%}), {inodes} files can be made."
    )
    return Line("space", "OK" if report.free_bytes else "FAIL", message)


def _clock() -> Line:
    clock = read_clock_status()
    if clock.synchronized:
        return Line("clock", "OK", f"synchronised, error at most {clock.max_error_us} microseconds.")
    return Line(
        "clock", "WARN", "the kernel's clock is not synchronised; run chrony or another time service on the node."
    )


def _reporting(settings: AuditSettings) -> Line:
    if _TOKEN.exists():
        return Line("report", "OK", f"a service account token is mounted; RISK_AUDIT_REPORT={settings.report}.")
    return Line("report", "WARN", "no service account token is mounted, so no RiskAuditReport is written from here.")
