"""Sections `audit` and `injection` of a policy: what the containers are told, and how."""

import re
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from .model import Model, Rule
from .quantity import size_in_bytes
from .strings import Duration, Size, matching

# The environment variables that belong to fields of the policy; audit.env may not name them.
RESERVED_ENV = (
    "NODE_NAME",
    "POD_NAME",
    "POD_NAMESPACE",
    "POD_UID",
    "RISK_AUDIT_CONTAINER",
    "RISK_AUDIT_DURABILITY",
    "RISK_AUDIT_LOG_PATH",
    "RISK_AUDIT_POLICY",
    "RISK_AUDIT_REPORT_INTERVAL",
    "RISK_AUDIT_RETENTION_DAYS",
    "RISK_AUDIT_ROTATION_COMPRESS",
    "RISK_AUDIT_ROTATION_MAX_AGE",
    "RISK_AUDIT_ROTATION_MAX_SIZE",
    "RISK_AUDIT_STAGING_DIR",
    "RISK_AUDIT_WRITER",
)

_RESERVED_ENV_CEL = ", ".join(f"'{name}'" for name in RESERVED_ENV)

_ENV_NAME = "^[A-Za-z_][A-Za-z0-9_]*$"

SMALLEST_SEGMENT = "64Ki"  # the library refuses less

# Where the operator mounts the pod's memory in which records wait; no audit volume can be there as well.
STAGING_DIRECTORY = "/run/riskbus"

# Directories whose own contents every program needs: a volume mounted over one of them would hide those.
_SYSTEM_DIRECTORIES = "bin|boot|etc|home|lib|lib32|lib64|libx32|opt|root|run|sbin|srv|tmp|usr|var"

LogPath = Annotated[
    str,
    Field(max_length=1024),
    matching(
        "^(/[.]?[A-Za-z0-9_-][A-Za-z0-9._-]*){2,}$",
        "must be the absolute path of a file in a directory other than /, without '.', '..', '//' or a slash at the "
        "end, like /var/log/intraday-jules/risk_audit.jsonl",
    ),
    Rule(
        cel="!self.matches('^/(proc|sys|dev)/')",
        message="nothing in /proc, /sys or /dev is durable: use a directory of its own, like "
        "/var/log/intraday-jules/risk_audit.jsonl",
        holds=lambda path: not re.match("/(proc|sys|dev)/", path),
    ),
    Rule(
        cel="!self.startsWith('/tmp/') && !self.startsWith('/var/tmp/')",
        message="temporary directories are cleaned by others: use a directory of its own, like "
        "/var/log/intraday-jules/risk_audit.jsonl",
        holds=lambda path: not path.startswith(("/tmp/", "/var/tmp/")),  # noqa: S108 - it is refused here
    ),
    Rule(
        cel=f"!self.startsWith('{STAGING_DIRECTORY}/')",
        message=f"{STAGING_DIRECTORY} is the memory in which records wait for the volume: use a directory of its own, "
        "like /var/log/intraday-jules/risk_audit.jsonl",
        holds=lambda path: not path.startswith(f"{STAGING_DIRECTORY}/"),
    ),
    Rule(
        cel=f"!self.matches('^/({_SYSTEM_DIRECTORIES})/[^/]+$')",
        message="the volume would hide a directory that the image needs: put the file one directory deeper, like "
        "/var/log/intraday-jules/risk_audit.jsonl",
        holds=lambda path: not re.fullmatch(f"/({_SYSTEM_DIRECTORIES})/[^/]+", path),
    ),
]

Env = Annotated[
    dict[str, Annotated[str, Field(max_length=4096)]],
    Field(max_length=64),
    Rule(
        cel=f"self.all(name, name.matches('{_ENV_NAME}'))",
        message="every name must be an environment variable's: letters, digits and '_', not beginning with a digit, "
        "like RISK_AUDIT_STREAM",
        holds=lambda env: all(re.fullmatch(_ENV_NAME, name) for name in env),
    ),
    Rule(
        cel=f"self.all(name, !(name in [{_RESERVED_ENV_CEL}]))",
        message="the operator sets this variable itself: leave it out and use audit.logPath, audit.durability, "
        "audit.rotation, injection.writer, retention.days or validation.interval",
        holds=lambda env: not env.keys() & set(RESERVED_ENV),
    ),
]


class Durability(StrEnum):
    """When an event counts as written; the library's `RISK_AUDIT_DURABILITY`."""

    OS = "Os"
    GROUP = "Group"
    SYNC = "Sync"


class OnConflict(StrEnum):
    """What to do with a workload whose own entries contradict the policy's."""

    FAIL = "Fail"
    SKIP = "Skip"


class Writer(StrEnum):
    """What writes the log."""

    IN_PROCESS = "InProcess"
    CHILD_PROCESS = "ChildProcess"


class Rotation(Model):
    """When the library closes a segment of the log and begins the next."""

    max_size: Annotated[
        Size,
        Rule(
            cel=f"!isQuantity(self) || quantity(self).compareTo(quantity('{SMALLEST_SEGMENT}')) >= 0",
            message=f"must be at least {SMALLEST_SEGMENT}, like 256Mi",
            holds=lambda text: size_in_bytes(text) >= size_in_bytes(SMALLEST_SEGMENT),
        ),
        Field(description="Begin a new segment at this size; at least 64Ki."),
    ] = "256Mi"
    max_age: Annotated[Duration, Field(description="Begin a new segment at this age.")] = "24h"
    compress: Annotated[bool, Field(description="Compress closed segments with gzip.")] = True


class Audit(Model):
    """The audit log: where it is and how it is written. It becomes the environment of the containers."""

    log_path: Annotated[
        LogPath,
        Field(
            description="RISK_AUDIT_LOG_PATH: the log's file in the container. Its directory is where the volume is "
            "mounted."
        ),
    ]
    durability: Annotated[
        Durability,
        Field(
            description="RISK_AUDIT_DURABILITY. Group: CRITICAL events are synced at once, the rest within "
            "milliseconds. Sync: every event at once. Os: written but not synced; a power cut may lose events."
        ),
    ] = Durability.GROUP
    rotation: Annotated[Rotation, Field(description="When a segment of the log is closed.")] = Rotation()
    env: Env = Field(
        default={},
        description="Further environment of the containers. What a workload sets itself wins.",
    )


class Injection(Model):
    """How the policy's settings get into the workloads."""

    engine: Annotated[
        Literal["Template"],
        Field(description="Template: the pod template of the workload is changed by server-side apply."),
    ] = "Template"
    on_conflict: Annotated[
        OnConflict,
        Field(
            description="What to do when a container has a mount or variable of its own that contradicts the policy. "
            "Fail: leave the whole workload as it is and say so. Skip: leave that entry and inject the rest."
        ),
    ] = OnConflict.FAIL
    per_pod_directory: Annotated[
        bool | None,
        Field(
            description="Give each pod a directory of its own on the volume (subPathExpr $(POD_NAME)). Unset: true "
            "if the access modes contain ReadWriteMany, false if there can be one writer only."
        ),
    ] = None
    writer: Annotated[
        Writer,
        Field(
            description="RISK_AUDIT_WRITER. InProcess: a thread of the workload's process writes the log. "
            "ChildProcess: a child process does, so that hashing, syncing and a volume that hangs are outside the "
            "trading process; on x86-64 only."
        ),
    ] = Writer.IN_PROCESS
