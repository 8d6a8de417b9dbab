"""The volume that records go to: what it is, whether this user can write there, and how much fits."""

import errno
import os
from collections.abc import Generator, Iterator
from pathlib import Path

from riskbus.cli.checkup.check import Check, Result
from riskbus.mount import MountReport, Reason, Verdict, readable_size, try_to_write, validate_mount
from riskbus.settings import AuditSettings

_RESULTS = {Verdict.VALID: Result.OK, Verdict.DEGRADED: Result.WARN, Verdict.INVALID: Result.FAIL}
_REMEDIES = {
    errno.EROFS: "remove readOnly from the volume mount, or replace a volume that the kernel made read-only",
    errno.ENOSPC: "enlarge the volume, or move expired segments away",
    errno.EDQUOT: "raise the quota, or move expired segments away",
}
_FEW_FILES = 100  # segments that can still be begun; with the default size of 256 MiB these are 25 GiB


def check_volume(settings: AuditSettings) -> Iterator[Check]:
    """Say whether the volume is fit; writes, syncs and removes small files there."""
    directory = Path(os.path.abspath(settings.path.parent))  # noqa: PTH100 -- resolve() would follow links
    report = yield from _examine("", directory, settings)
    if report is not None and report.capacity_bytes:
        yield _space(report, settings)
        yield _inodes(report)
    if settings.second_dir is not None:
        second = yield from _examine("second ", settings.second_dir, settings)
        if report and second and report.mount_point == second.mount_point:
            message = f"{settings.second_dir} is on the log's own volume and fails with it; mount another volume there."
            yield Check("second volume", Result.WARN, message)


def _examine(prefix: str, directory: Path, settings: AuditSettings) -> Generator[Check, None, MountReport | None]:
    """Yield what is said about each of the two directories; return what it is on, None if there is nothing."""
    existing = _nearest_existing(directory)
    if existing != directory and os.path.isdir(existing):  # noqa: PTH112 -- Path.is_dir raises where it may not look
        message = (
            f"{directory} does not exist yet; the log makes it when it starts, if its user may write to {existing}."
        )
        yield Check(f"{prefix}directory", Result.WARN, message)
        directory = existing
    report = validate_mount(directory / settings.path.name)
    yield Check(f"{prefix}mount", _RESULTS[report.verdict], f"{report.verdict}/{report.reason}: {report.message}")
    if report.reason is Reason.MISSING:
        return None
    yield _permission(f"{prefix}permission", directory)
    return report


def _permission(name: str, directory: Path) -> Check:
    """Say whether this user can write, sync and remove a file, by doing it."""
    user = f"uid {os.geteuid()}, gid {os.getegid()}"
    error = try_to_write(directory)
    if error is None:
        return Check(name, Result.OK, f"a file in {directory} was written, synced and removed as {user}.")
    remedy = _REMEDIES.get(error.errno or 0, "set fsGroup in the pod's securityContext, or correct owner and mode")
    message = f"a file in {directory} cannot be written, synced and removed as {user} ({error.strerror}); {remedy}."
    return Check(name, Result.FAIL, message)


def _nearest_existing(directory: Path) -> Path:
    for candidate in (directory, *directory.parents):
        try:
            candidate.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:  # this user may not look there; the validation says so
            return directory
        return candidate
    return directory


def _space(report: MountReport, settings: AuditSettings) -> Check:
    segments = report.free_bytes // settings.rotation_max_size
    free = f"{readable_size(report.free_bytes)} of {readable_size(report.capacity_bytes)} free"
    if not report.free_bytes:
        return Check("space", Result.FAIL, f"{free}; enlarge the volume, or move expired segments away.")
    if not segments:
        remedy = "enlarge the volume, or lower RISK_AUDIT_ROTATION_MAX_SIZE"
        message = f"{free}, less than one segment of {readable_size(settings.rotation_max_size)}; {remedy}."
        return Check("space", Result.WARN, message)
    message = f"{free}, room for {segments:,} segments of {readable_size(settings.rotation_max_size)} (uncompressed)."
    return Check("space", Result.OK, message)


def _inodes(report: MountReport) -> Check:
    if report.free_inodes < 0:
        return Check("inodes", Result.OK, "the file system has no limit on the number of files.")
    if report.free_inodes >= _FEW_FILES:
        return Check("inodes", Result.OK, f"{report.free_inodes:,} more files can be made.")
    result = Result.WARN if report.free_inodes else Result.FAIL
    message = f"{report.free_inodes:,} more files can be made; enlarge the volume, or remove other files from it."
    return Check("inodes", result, message)
