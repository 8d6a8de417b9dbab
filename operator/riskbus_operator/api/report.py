"""RiskAuditReport: what one pod says about its audit log. The library in the pod writes it, the operator reads it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from .metadata import API_VERSION, ObjectMeta
from .model import Model

PLURAL = "riskauditreports"

Count = Annotated[int, Field(ge=0)]


class Verdict(StrEnum):
    """Whether the audit log's directory is durable storage."""

    VALID = "Valid"
    DEGRADED = "Degraded"
    INVALID = "Invalid"


class Mount(Model):
    """The directory that the pod writes to, as the pod sees it."""

    verdict: Annotated[Verdict, Field(description="Whether it is durable storage.")]
    reason: Annotated[
        str,
        Field(
            max_length=128,
            pattern="^[A-Z][A-Za-z0-9]*$",
            description="Why, in one word for programs, such as DurableVolume or EphemeralEmptyDir.",
        ),
    ]
    message: Annotated[str, Field(max_length=1024, description="Why, and what to do, in a sentence for people.")]
    path: Annotated[str, Field(max_length=4096, description="The audit log's path in the container.")]
    mount_point: Annotated[str, Field(max_length=4096, description="The mount that the path is on.")] = ""
    filesystem: Annotated[str, Field(max_length=64, description="The filesystem's kind, such as ext4.")] = ""
    capacity_bytes: Annotated[Count, Field(description="Size of the filesystem in bytes.")] = 0
    free_bytes: Annotated[Count, Field(description="Bytes that the pod may still write.")] = 0
    free_inodes: Annotated[Count, Field(description="Files that the pod may still make.")] = 0


class Log(Model):
    """How far the audit log is."""

    incarnation: Annotated[str, Field(max_length=128, description="The writer's start that the numbers count from.")]
    seq: Annotated[int, Field(ge=-1, description="Sequence number of the newest record; -1 for none.")] = -1
    durable_seq: Annotated[
        int, Field(ge=-1, description="Newest record that fdatasync has returned for; -1 for none.")
    ] = -1
    checkpoint: Annotated[
        str, Field(max_length=4096, description="The newest checkpoint of the log: a C2SP signed note.")
    ] = ""
    public_key: Annotated[
        str, Field(max_length=512, description="The C2SP verifier key that the checkpoint is signed with.")
    ] = ""


class Clock(Model):
    """What the kernel says about its clock (adjtimex)."""

    synchronized: Annotated[bool, Field(description="Whether the kernel holds its clock for synchronized.")]
    estimated_error_microseconds: Annotated[Count, Field(description="Estimated error in microseconds.")] = 0
    max_error_microseconds: Annotated[Count, Field(description="Largest error in microseconds.")] = 0


class Failures(Model):
    """What went wrong since the process started, counted."""

    write_failures: Annotated[Count, Field(description="Writes or syncs that failed.")] = 0
    emergency_events: Annotated[Count, Field(description="Events that went to standard output instead.")] = 0
    lost_events: Annotated[Count, Field(description="Events that are nowhere.")] = 0


class RiskAuditReport(Model):
    """What one pod says about its audit log: its mount, how far it is, its clock and its failures."""

    api_version: Literal["riskbus.io/v1alpha1"] = API_VERSION
    kind: Literal["RiskAuditReport"] = "RiskAuditReport"
    metadata: ObjectMeta
    observed_at: Annotated[datetime, Field(description="When the pod looked.")]
    riskbus_version: Annotated[str, Field(max_length=64, description="Version of the library in the pod.")]
    container: Annotated[str, Field(max_length=63, description="The container that reports; may be empty.")] = ""
    mount: Annotated[Mount, Field(description="The directory that the pod writes to.")]
    log: Annotated[Log | None, Field(description="How far the audit log is; unset before it is open.")] = None
    clock: Annotated[Clock | None, Field(description="State of the clock, where the kernel tells it.")] = None
    failures: Annotated[Failures, Field(description="What went wrong since the start.")] = Failures()
