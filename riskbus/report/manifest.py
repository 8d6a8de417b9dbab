"""The RiskAuditReport object of one look at an audit log: pure functions."""

from datetime import UTC, datetime
from typing import Any

from riskbus.mount import MountReport, Reason, Verdict
from riskbus.report.identity import PodIdentity
from riskbus.settings import AuditSettings
from riskbus.status import LogStatus

API_VERSION = "riskbus.io/v1alpha1"
POLICY_LABEL = "riskbus.io/policy"

_MESSAGE_LIMIT = 1024
"""Characters that the kind allows: a very long path must not cost the whole report."""


def report_manifest(
    pod: PodIdentity, status: LogStatus, settings: AuditSettings, *, observed_at: datetime, version: str
) -> dict[str, Any]:
    """Build the object that the pod applies.

    The report carries the pod's own name and names the pod as its owner: that is what the cluster's admission policy
    compares with the token, and why the report goes when the pod goes.

    Args:
        pod: The pod that reports.
        status: What was found.
        settings: Say which container and which policy this is about.
        observed_at: When it was found; timezone-aware.
        version: Version of riskbus.

    Returns:
        The complete object for a server-side apply.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": "RiskAuditReport",
        "metadata": {
            "name": pod.name,
            "namespace": pod.namespace,
            "labels": {POLICY_LABEL: settings.policy} if settings.policy else {},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": pod.uid}],
        },
        "observedAt": observed_at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "riskbusVersion": version,
        "container": settings.container,
        "mount": _mount(status.mount or unanswered(status)),
        "log": {
            "incarnation": status.incarnation,
            "seq": status.seq,
            "durableSeq": status.durable_seq,
            "checkpoint": status.checkpoint,
            "publicKey": status.public_key,
        },
        "clock": {
            "synchronized": status.clock.synchronized,
            "estimatedErrorMicroseconds": status.clock.estimated_error_us,
            "maxErrorMicroseconds": status.clock.max_error_us,
        },
        "failures": {
            "writeFailures": status.write_failures,
            "emergencyEvents": status.emergency_events,
            "lostEvents": status.lost_events,
        },
    }


def unanswered(status: LogStatus) -> MountReport:
    """Return the verdict on a volume that has not answered yet: nothing vouches for it."""
    return MountReport(
        verdict=Verdict.INVALID,
        reason=Reason.NOT_WRITABLE,
        message=f"The volume under {status.path} has not answered a test write yet; if this stays, check its storage.",
        path=str(status.path),
    )


def _mount(mount: MountReport) -> dict[str, str | int]:
    fields: dict[str, str | int] = {
        "verdict": str(mount.verdict),
        "reason": str(mount.reason),
        "message": mount.message[:_MESSAGE_LIMIT],
        "path": mount.path,
        "mountPoint": mount.mount_point,
        "filesystem": mount.filesystem,
        "capacityBytes": mount.capacity_bytes,
        "freeBytes": mount.free_bytes,
    }
    if mount.free_inodes >= 0:  # file systems without a limit have no such figure
        fields["freeInodes"] = mount.free_inodes
    return fields
