"""The result of a mount validation."""

import os
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Whether evidence is safe on a volume."""

    VALID = "Valid"
    DEGRADED = "Degraded"
    INVALID = "Invalid"


class Reason(StrEnum):
    """Why a volume got its verdict; the names appear in reports, conditions and alerts."""

    DURABLE_VOLUME = "DurableVolume"
    NETWORK_FILESYSTEM = "NetworkFilesystem"
    LOW_SPACE = "LowSpace"
    LOW_INODES = "LowInodes"
    EPHEMERAL_TMPFS = "EphemeralTmpfs"
    EPHEMERAL_OVERLAY = "EphemeralOverlay"
    EPHEMERAL_EMPTY_DIR = "EphemeralEmptyDir"
    EPHEMERAL_TMP = "EphemeralTmp"
    READ_ONLY = "ReadOnly"
    NOT_WRITABLE = "NotWritable"
    MISSING = "Missing"
    UNRESPONSIVE = "Unresponsive"


@dataclass(frozen=True, slots=True)
class MountReport:
    """What was found out about the volume under an audit log's directory.

    Attributes:
        verdict: Valid, Degraded or Invalid.
        reason: why, machine-readable.
        message: one sentence that says what was found and what to do.
        path: the path of the audit log that was asked about.
        mount_point: where the file system is mounted, "" if unknown.
        filesystem: its type as in the mount table, for example ext4, "" if unknown.
        capacity_bytes: size of the file system.
        free_bytes: bytes that an unprivileged process can still write.
        free_inodes: files that an unprivileged process can still create; -1 where the file system has no limit.
    """

    verdict: Verdict
    reason: Reason
    message: str
    path: str
    mount_point: str = ""
    filesystem: str = ""
    capacity_bytes: int = 0
    free_bytes: int = 0
    free_inodes: int = 0


def unresponsive(path: str | os.PathLike[str]) -> MountReport:
    """Return the report on a volume that does not answer, without asking it."""
    message = f"the volume of {path} does not answer; look after the volume, or restart the pod on another node."
    return MountReport(Verdict.INVALID, Reason.UNRESPONSIVE, message, os.fspath(path))
