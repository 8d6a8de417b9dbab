"""What the log's own records say. Pure: facts in, payload out."""

import os
import platform
import socket
from collections.abc import Callable, Sequence
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from time import time_ns
from typing import Any

import orjson

from riskbus.clock import ClockStatus
from riskbus.configuration import Change
from riskbus.format.checkpoint import Checkpoint
from riskbus.format.record import FORMAT_VERSION, encode_control
from riskbus.mount import MountReport
from riskbus.runtime.journal import Outage
from riskbus.settings import AuditSettings
from riskbus.stamps import uuid7
from riskbus.store import posix
from riskbus.store.stream import Previous

Record = Callable[[str, dict[str, Any]], None]
"""Stages one of the log's own records: its kind and its payload."""
Say = Callable[[int, str], None]
"""Logs a message at a level of `logging`; must not block."""


def encode_now(kind: str, payload: dict[str, Any]) -> bytes:
    """Return the body of one of the log's own records, made now."""
    now = time_ns()
    return encode_control(kind, payload, uuid7(now), now)


def open_payload(  # noqa: PLR0913, PLR0917 -- everything that identifies a writer is one record
    settings: AuditSettings,
    incarnation: str,
    public_key: str,
    previous: Previous | None,
    mount: MountReport,
    clock: ClockStatus,
) -> dict[str, Any]:
    """Return the payload of AUDIT_OPEN, the first record of every incarnation."""
    return {
        "format_version": FORMAT_VERSION,
        "stream": settings.stream_name(),
        "incarnation": incarnation,
        "public_key": public_key,
        "previous": [{"incarnation": previous.incarnation, "checkpoint": previous.checkpoint}] if previous else [],
        "host": socket.gethostname(),
        "namespace": settings.pod_namespace,
        "pod": settings.pod_name,
        "pod_uid": settings.pod_uid,
        "node": settings.node_name,
        "container": settings.container,
        "image": settings.image,
        "pid": os.getpid(),
        "riskbus_version": _version(),
        "python_version": platform.python_version(),
        "durability": settings.durability,
        "configuration_sha256": _digest(settings),
        "clock": clock_payload(clock),
        "mount": mount_payload(mount),
    }


def _digest(settings: AuditSettings) -> str:
    return sha256(orjson.dumps(settings.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)).hexdigest()


def _version() -> str:
    try:
        return version("riskbus")
    except PackageNotFoundError:  # copied or frozen into something else: no reason not to keep a log
        return "unknown"


def checkpoint_payload(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the payload of AUDIT_CHECKPOINT."""
    return {"note": checkpoint.note}


def clock_payload(clock: ClockStatus) -> dict[str, Any]:
    """Return the payload of AUDIT_CLOCK."""
    return {
        "synchronized": clock.synchronized,
        "estimated_error_us": clock.estimated_error_us,
        "max_error_us": clock.max_error_us,
    }


def mount_payload(mount: MountReport) -> dict[str, Any]:
    """Return the payload of AUDIT_MOUNT."""
    return {
        "verdict": mount.verdict,
        "reason": mount.reason,
        "message": mount.message,
        "mount_point": mount.mount_point,
        "filesystem": mount.filesystem,
        "capacity_bytes": mount.capacity_bytes,
        "free_bytes": mount.free_bytes,
    }


def recovered_payload(outage: Outage) -> dict[str, Any]:
    """Return the payload of AUDIT_RECOVERED: these records waited, or went elsewhere, and are complete."""
    return {
        "cause": outage.cause,
        "seconds": round(outage.seconds, 3),
        "first_seq": outage.first_seq,
        "last_seq": outage.last_seq,
        "second_directory": outage.second_directory,
    }


def initialized_line(settings: AuditSettings, incarnation: str, mount: MountReport) -> str:
    """Return the line that says that the log's first records are durable."""
    return f"Audit log file initialized: {settings.path} on {mount.filesystem}, incarnation {incarnation}"


def resumed_line(settings: AuditSettings, outage: Outage) -> str:
    """Return the line that says that an outage is over."""
    count = outage.last_seq - outage.first_seq + 1
    return f"the volume of {settings.path} takes records again; none of {count} is missing"


def outage_warning(settings: AuditSettings, error: OSError) -> str:
    """Return what to tell people when the volume begins to refuse."""
    where = f"go to {settings.second_dir}" if settings.second_dir else "wait in memory"
    remedy = ""
    if error.errno in posix.FULL:
        remedy = "; enlarge the volume, raise the quota, or move expired segments away"
    elif error.errno in posix.GONE:
        remedy = "; only a restart of the pod, on a volume that is well, heals it"
    return f"the volume of {settings.path} refused a write ({error.strerror}); records {where}{remedy}"


def succeeded_payload(first_seq: int) -> dict[str, Any]:
    """Return the payload of AUDIT_RECOVERED where another writer goes on, from this number, in the same incarnation."""
    return {"cause": "the writer ended before its time; another one goes on", "first_seq": first_seq}


def inherited_payload(
    incarnation: str, moved: Sequence[tuple[int, int]], *, into: str = "", unfinished: str = ""
) -> dict[str, Any]:
    """Return the payload of AUDIT_RECOVERED about what an earlier process had accepted and not written.

    Args:
        incarnation: the earlier one.
        moved: old and new numbers, in order.
        into: in which incarnation they stand now, "" for the one that says so.
        unfinished: the log's own record that it was writing when it ended, "" for none.
    """
    runs: list[list[int]] = []
    for old, new in moved:
        if runs and old == runs[-1][0] + runs[-1][2] and new == runs[-1][1] + runs[-1][2]:
            runs[-1][2] += 1
        else:
            runs.append([old, new, 1])
    payload = {
        "cause": "their process ended before they were written",
        "incarnation": incarnation,
        "records": len(moved),
        "runs": runs[:1000],  # a bound for the record's size; more than a few are rare
    }
    return payload | ({"into": into} if into else {}) | ({"unfinished": unfinished} if unfinished else {})


def gap_payload(reason: str, events: int) -> dict[str, Any]:
    """Return the payload of AUDIT_GAP: so many events are not in the log, and why."""
    return {"reason": reason, "events": events}


def config_payload(change: Change, settings: AuditSettings) -> dict[str, Any]:
    """Return the payload of AUDIT_CONFIG: what changed, by whom, and what holds from here on."""
    return {
        "origin": change.origin,
        "changes": change.changes,
        "actor": change.actor,
        "approved_by": change.approved_by,
        "reason": change.reason,
        "configuration_sha256": _digest(settings),
    }


def suspect_payload(segment: str, finding: str) -> dict[str, Any]:
    """Return the payload of AUDIT_SUSPECT: what was done to a segment behind the writer's back."""
    return {"segment": segment, "finding": finding}
