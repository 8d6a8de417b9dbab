"""The verdict on a volume: an ordered list of named checks on facts that were gathered before. Pure."""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from riskbus.mount.mountinfo import Mount
from riskbus.mount.report import Reason, Verdict

TMPFS = frozenset({"tmpfs", "ramfs", "hugetlbfs"})
OVERLAYS = frozenset({"overlay", "aufs", "fuse.fuse-overlayfs"})
NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "virtiofs", "lustre", "afs", "beegfs", "gpfs", "ocfs2"}
)
EMPTY_DIR = "kubernetes.io~empty-dir"  # the kubelet's directory for such volumes, visible as the root of the mount
_TMP = PurePosixPath("/tmp")  # noqa: S108 -- recognised, never written to
_LOW_SPACE = 1 << 30  # bytes; a volume below this and below a tenth of its size fills up before people react
_LOW_INODES = 100  # segments that can still be begun
_TENTH = 10


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found out about the directory of an audit log.

    Attributes:
        directory: absolute, without symbolic links.
        exists: whether it is a directory.
        mount: the mount that holds it.
        capacity_bytes, free_bytes: of the file system, free as for unprivileged processes.
        inodes, free_inodes: of the file system; inodes is 0 where there is no limit.
        write_error: what a real write, fsync and unlink ended with, or None.
        in_container: whether this process runs in a container.
    """

    directory: PurePosixPath
    exists: bool
    mount: Mount | None
    capacity_bytes: int = 0
    free_bytes: int = 0
    inodes: int = 0
    free_inodes: int = 0
    write_error: OSError | None = None
    in_container: bool = False


Finding = tuple[Verdict, Reason, str]
_USE_VOLUME = "mount a PersistentVolumeClaim there or cover the workload with a RiskAuditPolicy"


def judge(facts: Facts) -> Finding:
    """Return verdict, reason and message: the first of the checks that finds something."""
    for check in _CHECKS:
        finding = check(facts)
        if finding:
            return finding
    filesystem = facts.mount.filesystem if facts.mount else "a file system"
    return (
        Verdict.VALID,
        Reason.DURABLE_VOLUME,
        f"{facts.directory} is on {filesystem} with {readable_size(facts.free_bytes)} free; nothing to do.",
    )


def _missing(facts: Facts) -> Finding | None:
    if facts.exists:
        return None
    return (
        Verdict.INVALID,
        Reason.MISSING,
        f"{facts.directory} does not exist and could not be made; {_USE_VOLUME}, or correct RISK_AUDIT_LOG_PATH.",
    )


def _read_only(facts: Facts) -> Finding | None:
    refused = facts.write_error is not None and facts.write_error.errno == errno.EROFS
    if not refused and not (facts.mount and facts.mount.read_only):
        return None
    return (
        Verdict.INVALID,
        Reason.READ_ONLY,
        (
            f"{facts.directory} is mounted read-only; remove readOnly from the volume mount, "
            "or, if the kernel made it so after an error, replace the volume and restart the pod."
        ),
    )


def _ephemeral(facts: Facts) -> Finding | None:
    if facts.mount is None:
        return None
    kind = facts.mount.filesystem
    own_disk = facts.in_container and facts.mount.point == "/"
    findings = (
        (EMPTY_DIR in facts.mount.root, Reason.EPHEMERAL_EMPTY_DIR, "an emptyDir, which is deleted with its pod"),
        (kind in TMPFS, Reason.EPHEMERAL_TMPFS, f"{kind}, which is memory and lost with the pod or machine"),
        (kind in OVERLAYS or own_disk, Reason.EPHEMERAL_OVERLAY, "the container's own disk, lost with the container"),
        (_below_tmp(facts), Reason.EPHEMERAL_TMP, "below /tmp, which systems clean up"),
    )
    for found, reason, what in findings:
        if found:
            return Verdict.INVALID, reason, f"{facts.directory} is on {what}; {_USE_VOLUME}."
    return None


def _below_tmp(facts: Facts) -> bool:
    if not facts.directory.is_relative_to(_TMP):
        return False
    point = PurePosixPath(facts.mount.point) if facts.mount else PurePosixPath("/")
    return point == _TMP or not point.is_relative_to(_TMP)  # a volume of its own below /tmp is not cleaned up


def _not_writable(facts: Facts) -> Finding | None:
    error = facts.write_error
    if error is None or error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return None
    return (
        Verdict.INVALID,
        Reason.NOT_WRITABLE,
        (
            f"a file in {facts.directory} could not be written, synced and removed by this user ({error.strerror}); "
            "set fsGroup in the pod's securityContext, or correct the directory's owner and mode."
        ),
    )


def _network(facts: Facts) -> Finding | None:
    if facts.mount is None:
        return None
    kind = facts.mount.filesystem
    if kind not in NETWORK and not kind.startswith("fuse."):
        return None
    return (
        Verdict.DEGRADED,
        Reason.NETWORK_FILESYSTEM,
        (
            f"{facts.directory} is on {kind}, whose durability depends on a server and a network; "
            "use a block volume (ReadWriteOnce) where you can."
        ),
    )


def _low_space(facts: Facts) -> Finding | None:
    full = facts.write_error is not None
    if not full and facts.free_bytes >= min(_LOW_SPACE, facts.capacity_bytes // _TENTH):
        return None
    return (
        Verdict.DEGRADED,
        Reason.LOW_SPACE,
        (
            f"{facts.directory} has {readable_size(facts.free_bytes)} of {readable_size(facts.capacity_bytes)} free; "
            "enlarge the PersistentVolumeClaim, or archive and prune expired segments."
        ),
    )


def _low_inodes(facts: Facts) -> Finding | None:
    if facts.inodes == 0 or facts.free_inodes >= min(_LOW_INODES, facts.inodes // _TENTH):
        return None
    return (
        Verdict.DEGRADED,
        Reason.LOW_INODES,
        f"{facts.directory} has room for {facts.free_inodes} more files; enlarge the volume, or remove other files.",
    )


_CHECKS: tuple[Callable[[Facts], Finding | None], ...] = (
    _missing,
    _read_only,
    _ephemeral,
    _not_writable,
    _network,
    _low_space,
    _low_inodes,
)


def readable_size(count: float) -> str:
    """Return a number of bytes in binary units, for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004 -- the step between binary units
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
