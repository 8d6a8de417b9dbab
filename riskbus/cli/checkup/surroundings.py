"""What is around the process: the machine's clock, standard output, the way to the Kubernetes API, and riskbus."""

import os
import stat
from pathlib import Path

from riskbus import native
from riskbus.cli.checkup.check import Check, Result
from riskbus.clock import ClockStatus, read_clock_status
from riskbus.report.identity import PodIdentityError, read_identity
from riskbus.settings import AuditSettings, ReportMode

_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
# Divergence from UTC that Commission Delegated Regulation (EU) 2017/574 (RTS 25) allows, in microseconds.
_CLASSES = {"100 µs": 100, "1 ms": 1000}
_STDOUT = 1


def check_clock() -> Check:
    """Say how well the clock is disciplined, as the kernel knows it."""
    clock = read_clock_status()
    figures = f"estimated error {clock.estimated_error_us:,} µs, at most {clock.max_error_us:,} µs"
    if not clock.synchronized:
        remedy = "run chrony or another time service on the node"
        message = f"the kernel's clock is not synchronised ({figures}); {remedy}."
        return Check("clock", Result.WARN, message)
    return Check("clock", Result.OK, f"synchronised; {figures}; {divergence(clock)}.")


def divergence(clock: ClockStatus) -> str:
    """Return in which of the divergence classes for trading the clock certainly is."""
    within = [name for name, limit in _CLASSES.items() if clock.max_error_us <= limit]
    likely = [name for name, limit in _CLASSES.items() if clock.estimated_error_us <= limit]
    if within:
        return f"within the {within[0]} divergence class"
    if likely:
        return f"within the {likely[0]} divergence class by the estimate, not by the bound"
    return "outside the 1 ms divergence class"


def check_output() -> Check:
    """Say what standard output is: emergency copies and anchors go there."""
    try:
        status = os.fstat(_STDOUT)
    except OSError:
        return Check("stdout", Result.WARN, f"standard output is closed, {_NOWHERE}.")
    if status.st_rdev == os.makedev(1, 3) and stat.S_ISCHR(status.st_mode):
        return Check("stdout", Result.WARN, f"standard output is /dev/null, {_NOWHERE}.")
    kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFREG: "a file", stat.S_IFCHR: "a terminal"}
    kind = kinds.get(stat.S_IFMT(status.st_mode), "a device")
    return Check("stdout", Result.OK, f"standard output is {kind}; emergency copies and anchors go where it leads.")


_NOWHERE = "so emergency copies and anchors are lost; let it lead to the container's log"


def check_reporting(settings: AuditSettings) -> Check:
    """Say whether this pod can write its RiskAuditReport."""
    if settings.report is ReportMode.OFF:
        return Check("report", Result.OK, "RISK_AUDIT_REPORT=off, so no RiskAuditReport is written.")
    if not _TOKEN.exists():
        message = "no service account token is mounted, so no RiskAuditReport is written from here; "
        return Check("report", Result.WARN, f"{message}set automountServiceAccountToken: true on the pod.")
    try:
        identity = read_identity(_TOKEN)
    except PodIdentityError as error:
        return Check("report", Result.WARN, f"{error}.")
    return Check("report", Result.OK, f"a token of pod {identity.namespace}/{identity.name} is mounted.")


def check_form() -> Check:
    """Say whether the hottest paths are compiled. Both forms are right; one is faster."""
    if native.hot:
        return Check("form", Result.OK, "the hottest paths are compiled.")
    return Check("form", Result.OK, f"the hottest paths are interpreted, which is slower: {native.why_not}.")
