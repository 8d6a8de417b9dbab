"""Gathering the facts about a directory from the kernel, with one real write."""

import os
from contextlib import suppress
from pathlib import Path, PurePosixPath
from uuid import uuid4

from riskbus.mount.judgement import Facts, judge
from riskbus.mount.mountinfo import find_mount, read_mounts
from riskbus.mount.report import MountReport

_CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")
_PROBE = b"riskbus probes this volume\n"


def validate_mount(path: str | os.PathLike[str]) -> MountReport:
    """Find out whether the directory of an audit log is durable, by asking the kernel and by really writing there.

    Blocks as long as the volume does, so call it where waiting is allowed. Thread-safe. Never raises OSError: what
    the volume refuses is in the report.

    Args:
        path: of the audit log, as in RISK_AUDIT_LOG_PATH; the directory that holds it is what is validated.
    """
    directory = Path(os.path.realpath(Path(path).parent))
    facts = _gather(directory)
    verdict, reason, message = judge(facts)
    return MountReport(
        verdict=verdict,
        reason=reason,
        message=message,
        path=os.fspath(path),
        mount_point=facts.mount.point if facts.mount else "",
        filesystem=facts.mount.filesystem if facts.mount else "",
        capacity_bytes=facts.capacity_bytes,
        free_bytes=facts.free_bytes,
        free_inodes=facts.free_inodes if facts.inodes else -1,
    )


def _gather(directory: Path) -> Facts:
    name = PurePosixPath(directory)
    mount = find_mount(read_mounts(), name)
    try:
        statistics = os.statvfs(f"{directory}/.")  # the dot refuses what is no directory
    except (FileNotFoundError, NotADirectoryError):
        return Facts(name, exists=False, mount=None)
    except OSError as error:  # no permission on the way there, or a stale network mount
        return Facts(name, exists=True, mount=mount, write_error=error)
    return Facts(
        name,
        exists=True,
        mount=mount,
        capacity_bytes=statistics.f_blocks * statistics.f_frsize,
        free_bytes=statistics.f_bavail * statistics.f_frsize,
        inodes=statistics.f_files,
        free_inodes=statistics.f_favail,
        write_error=try_to_write(directory),
        in_container=in_container(),
    )


def in_container() -> bool:
    """Whether this process runs in a container, as far as the usual marks tell."""
    return "KUBERNETES_SERVICE_HOST" in os.environ or any(Path(mark).exists() for mark in _CONTAINER_MARKS)


def try_to_write(directory: Path) -> OSError | None:
    """Write, sync and remove one small file of a name of its own; return what the volume refused, or None."""
    probe = directory / f".riskbus-probe-{uuid4().hex}"
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    except OSError as error:
        return error
    try:
        os.write(descriptor, _PROBE)
        os.fsync(descriptor)
    except OSError as error:
        return error
    finally:
        with suppress(OSError):
            os.close(descriptor)
        with suppress(OSError):
            probe.unlink()
    return None
