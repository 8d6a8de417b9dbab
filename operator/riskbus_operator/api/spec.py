"""The sections of a policy's spec, each with its defaults and rules.

A value whose behaviour this version does not have is refused with a message that says so, never silently ignored.
"""

import re
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from .model import Model, Rule
from .quantity import duration_in_seconds, size_in_bytes
from .strings import DnsLabel, DnsName, Duration, LabelKey, Labels, LabelValue, Percent, Size, matching

NOT_YET = "not supported yet in v0.1"

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
    "RISK_AUDIT_ROTATION_COMPRESS",
    "RISK_AUDIT_ROTATION_MAX_AGE",
    "RISK_AUDIT_ROTATION_MAX_SIZE",
    "RISK_AUDIT_WRITER",
)
_RESERVED_ENV_CEL = ", ".join(f"'{name}'" for name in RESERVED_ENV)
_ENV_NAME = "^[A-Za-z_][A-Za-z0-9_]*$"


_SET = {"x-kubernetes-list-type": "set"}


class Mode(StrEnum):
    """Whether the policy changes anything."""

    ENFORCE = "Enforce"
    SHADOW = "Shadow"


class WorkloadKind(StrEnum):
    """Kinds of workload that a policy can cover."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"


class Durability(StrEnum):
    """When an event counts as written; the library's `RISK_AUDIT_DURABILITY`."""

    OS = "Os"
    GROUP = "Group"
    SYNC = "Sync"


class OnConflict(StrEnum):
    """What to do with a workload whose own entries contradict the policy's."""

    FAIL = "Fail"
    SKIP = "Skip"


class AccessMode(StrEnum):
    """Access modes of a claim that an audit log can be written through."""

    READ_WRITE_ONCE = "ReadWriteOnce"
    READ_WRITE_ONCE_POD = "ReadWriteOncePod"
    READ_WRITE_MANY = "ReadWriteMany"


class RetentionPreset(StrEnum):
    """Named sets of retention rules."""

    EU_MIFID2_ALGO = "eu-mifid2-algo"
    EU_MIFID2_HFT = "eu-mifid2-hft"
    UK_MIFID_ALGO = "uk-mifid-algo"
    UK_MIFID_HFT = "uk-mifid-hft"
    US_SEC_WORM = "us-sec-worm"
    US_SEC_AUDIT_TRAIL = "us-sec-audit-trail"
    US_CFTC = "us-cftc"
    EU_DORA_ICT = "eu-dora-ict"
    STRICTEST = "strictest"


class SelectorRequirement(Model):
    """One expression of a label selector."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="(self.operator in ['In', 'NotIn']) == (size(self.values) > 0)",
            message="In and NotIn need values; Exists and DoesNotExist take none",
            holds=lambda self: (self.operator in ("In", "NotIn")) == bool(self.values),
        ),
    )
    key: Annotated[LabelKey, Field(description="The label's key.")]
    operator: Annotated[
        Literal["In", "NotIn", "Exists", "DoesNotExist"], Field(description="How the label relates to the values.")
    ]
    values: Annotated[
        tuple[LabelValue, ...], Field(max_length=64, description="Values for In and NotIn; empty for the others.")
    ] = ()


class LabelSelector(Model):
    """A label selector over the labels of workloads (not of their pods)."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-map-type": "atomic"})

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="size(self.matchLabels) > 0 || size(self.matchExpressions) > 0",
            message="an empty selector would cover every workload of the namespace: give at least one of matchLabels "
            "and matchExpressions",
            holds=lambda self: bool(self.match_labels or self.match_expressions),
        ),
    )
    match_labels: Labels = Field(default={}, description="Labels that a workload must all have, with these values.")
    match_expressions: Annotated[
        tuple[SelectorRequirement, ...],
        Field(max_length=32, description="Expressions that a workload's labels must all fulfil."),
    ] = ()


class Workloads(Model):
    """The workloads that the policy covers, in its own namespace."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.selector) != (size(self.names) > 0)",
            message="give either selector (by label) or names (a list), not both and not neither",
            holds=lambda self: (self.selector is not None) != bool(self.names),
        ),
    )
    kinds: Annotated[
        tuple[WorkloadKind, ...],
        Field(min_length=1, max_length=2, json_schema_extra=_SET, description="Kinds of workload to cover."),
    ] = (WorkloadKind.DEPLOYMENT, WorkloadKind.STATEFUL_SET)
    selector: Annotated[
        LabelSelector | None, Field(description="Cover the workloads whose own labels match. Excludes names.")
    ] = None
    names: Annotated[
        tuple[DnsName, ...],
        Field(
            max_length=256, json_schema_extra=_SET, description="Cover the workloads of these names. Excludes selector."
        ),
    ] = ()
    containers: Annotated[
        tuple[DnsLabel, ...],
        Field(
            max_length=32,
            json_schema_extra=_SET,
            description="Containers that write risk events. Empty means every container of the pod (init containers "
            "excepted).",
        ),
    ] = ()


class Rotation(Model):
    """When the library closes a segment of the log and begins the next."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!self.compress",
            message=f"compress is {NOT_YET}: leave it out, and give the volume room for plain segments",
            holds=lambda self: not self.compress,
        ),
    )
    max_size: Annotated[Size, Field(description="Begin a new segment at this size.")] = "256Mi"
    max_age: Annotated[Duration, Field(description="Begin a new segment at this age.")] = "24h"
    compress: Annotated[bool, Field(description=f"Compress closed segments; {NOT_YET}.")] = False


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
        message="the policy's own fields set this variable: leave it out and use audit.logPath, audit.durability, "
        "audit.rotation, injection.writer or validation.interval",
        holds=lambda env: not env.keys() & set(RESERVED_ENV),
    ),
]


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
        Literal["InProcess"], Field(description="InProcess: the log is written by a thread of the workload's process.")
    ] = "InProcess"


class AutoResize(Model):
    """Growth of the volume as it fills."""

    threshold: Annotated[Percent, Field(description="Grow when this share of the volume is used, in percent.")] = 80
    increase: Annotated[
        str,
        Field(max_length=20),
        matching(
            "^([1-9][0-9]?%|100%|[1-9][0-9]{0,14}([kMGTP]|[KMGTP]i)?)$", "must be a share or a size, like 20% or 10Gi"
        ),
        Field(description="How much to add each time: a share of the present size, or a size."),
    ] = "20%"
    limit: Annotated[Size, Field(description="Never grow beyond this size.")]


class Volume(Model):
    """The persistent volume claim of each workload. Claims are never deleted by the operator."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.storageClassName) == has(oldSelf.storageClassName) && "
            "(!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
            message="storageClassName cannot change once claims exist: make a new policy and move the workloads to it",
        ),
        Rule(
            cel="self.accessModes == oldSelf.accessModes",
            message="accessModes cannot change once claims exist: make a new policy and move the workloads to it",
        ),
        Rule(
            cel="!('ReadWriteOncePod' in self.accessModes) || size(self.accessModes) == 1",
            message="ReadWriteOncePod cannot be combined with another access mode: give it alone",
            holds=lambda self: AccessMode.READ_WRITE_ONCE_POD not in self.access_modes or len(self.access_modes) == 1,
        ),
        Rule(
            cel="!has(self.autoResize) || !isQuantity(self.autoResize.limit) || !isQuantity(self.size) || "
            "quantity(self.autoResize.limit).compareTo(quantity(self.size)) >= 0",
            message="autoResize.limit must not be below size: give a larger limit",
            holds=lambda self: (
                self.auto_resize is None or size_in_bytes(self.auto_resize.limit) >= size_in_bytes(self.size)
            ),
        ),
        Rule(
            cel="!has(self.autoResize)",
            message=f"autoResize is {NOT_YET}: leave it out, and raise size when the volume fills",
            holds=lambda self: self.auto_resize is None,
        ),
    )
    mode: Annotated[Literal["PerWorkload"], Field(description="PerWorkload: one claim for each workload.")] = (
        "PerWorkload"
    )
    size: Annotated[
        Size,
        Rule(
            cel="!isQuantity(self) || !isQuantity(oldSelf) || quantity(self).compareTo(quantity(oldSelf)) >= 0",
            message="volumes only grow: give the present size or a larger one",
        ),
        Field(description="Size of each claim, like 50Gi. It may only grow."),
    ]
    storage_class_name: Annotated[
        DnsName | None, Field(description="StorageClass of the claims; unset means the cluster's default. Immutable.")
    ] = None
    access_modes: Annotated[
        tuple[AccessMode, ...],
        Field(
            min_length=1,
            max_length=3,
            json_schema_extra=_SET,
            description="Access modes of the claims. ReadWriteMany is needed when several pods of a workload run at "
            "once. Immutable.",
        ),
    ] = (AccessMode.READ_WRITE_ONCE,)
    auto_resize: Annotated[AutoResize | None, Field(description=f"Growth of the volume as it fills; {NOT_YET}.")] = None


class Retention(Model):
    """How long the records are to be kept. The operator deletes no claim and no record, whatever is set here."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!oldSelf.lock || self.lock",
            message="a lock never goes back: set lock: true again",
        ),
        Rule(
            cel="!oldSelf.lock || !has(oldSelf.days) || (has(self.days) && self.days >= oldSelf.days)",
            message="days only grows while lock is set: give the present number of days or more",
        ),
        Rule(
            cel="size(self.presets) == 0",
            message=f"presets is {NOT_YET}: leave it out, and give days, the longest period that you have to keep",
            holds=lambda self: not self.presets,
        ),
        Rule(
            cel="!self.legalHold",
            message=f"legalHold is {NOT_YET}: leave it out; this version deletes no records, held or not",
            holds=lambda self: not self.legal_hold,
        ),
        Rule(
            cel="!self.protectNamespace",
            message=f"protectNamespace is {NOT_YET}: leave it out, and guard the namespace by RBAC",
            holds=lambda self: not self.protect_namespace,
        ),
    )
    presets: Annotated[
        tuple[RetentionPreset, ...],
        Field(
            max_length=9,
            json_schema_extra=_SET,
            description="Named rules that the retention is to help you meet; the longest period wins.",
        ),
    ] = ()
    days: Annotated[
        int | None,
        Field(ge=1, le=36525, description="Days that every record is to be kept, at least."),
    ] = None
    lock: Annotated[
        bool, Field(description="Once true it stays, and days only grows. It goes when the policy is deleted.")
    ] = False
    legal_hold: Annotated[bool, Field(description=f"Keep everything beyond its period; {NOT_YET}.")] = False
    on_policy_delete: Annotated[
        Literal["Retain"], Field(description="Retain: the claims stay when the policy goes.")
    ] = "Retain"
    protect_namespace: Annotated[
        bool, Field(description=f"Refuse deletion of the namespace while records are kept; {NOT_YET}.")
    ] = False


class Thresholds(Model):
    """When the alert rules fire."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.volumeFreeCriticalPercent < self.volumeFreeWarningPercent",
            message="volumeFreeCriticalPercent must be below volumeFreeWarningPercent, like 3 and 15",
            holds=lambda self: self.volume_free_critical_percent < self.volume_free_warning_percent,
        ),
    )
    volume_free_warning_percent: Annotated[
        Percent, Field(description="AuditLogVolumeSpace warns below this share of free space, in percent.")
    ] = 15
    volume_free_critical_percent: Annotated[
        Percent, Field(description="AuditLogVolumeSpace is critical below this share of free space, in percent.")
    ] = 3


class Monitoring(Model):
    """Alert rules for the policy's workloads, as a PrometheusRule of the prometheus-operator."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="size(self.podMonitorLabels) == 0",
            message=f"podMonitorLabels is {NOT_YET}: leave it out, and let Prometheus find the pods by itself",
            holds=lambda self: not self.pod_monitor_labels,
        ),
    )
    enabled: Annotated[bool, Field(description="Install the alert rules.")] = True
    rule_labels: Labels = Field(
        default={},
        description="Labels of the PrometheusRule, so that your Prometheus' ruleSelector takes it.",
    )
    pod_monitor_labels: Labels = Field(default={}, description=f"Labels of a PodMonitor; {NOT_YET}.")
    thresholds: Annotated[Thresholds, Field(description="When the alerts fire.")] = Thresholds()
    runbook_base_url: Annotated[
        str,
        Field(
            alias="runbookBaseURL",
            max_length=1024,
            description="Where your runbooks are; each alert's runbook_url is this and the alert's name. Empty: none.",
        ),
        matching(
            "^(https?://[^ ]+)?$", "must begin with https:// or http://, like https://runbooks.example.com/audit/"
        ),
    ] = ""


class BackupKeep(Model):
    """How many backups are kept."""

    count: Annotated[int, Field(ge=1, le=10000, description="Backups to keep.")] = 30


class Backup(Model):
    """Scheduled backups of the volumes."""

    method: Annotated[Literal["VolumeSnapshot"], Field(description="How a backup is made.")] = "VolumeSnapshot"
    schedule: Annotated[
        str,
        Field(max_length=100),
        matching(
            "^[0-9A-Za-z*/,-]+( [0-9A-Za-z*/,-]+){4}$",
            "must be five fields of cron (minute, hour, day, month, weekday), like '0 2 * * *'",
        ),
        Field(description="When, as five fields of cron in UTC."),
    ]
    keep: Annotated[BackupKeep, Field(description="How many are kept.")] = BackupKeep()


class Validation(Model):
    """What the pods must report about the directory that they write to."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!self.readinessGate",
            message=f"readinessGate is {NOT_YET}: leave it out, and wait for the policy's condition MountsValidated",
            holds=lambda self: not self.readiness_gate,
        ),
    )
    required: Annotated[
        bool, Field(description="The policy is Ready only if every pod reports a valid, durable directory.")
    ] = True
    readiness_gate: Annotated[
        bool, Field(description=f"Hold a pod's readiness until its report is valid; {NOT_YET}.")
    ] = False
    interval: Annotated[
        Duration,
        Rule(
            cel="!self.matches('^[0-9]+[smh]$') || "
            "(duration(self) >= duration('10s') && duration(self) <= duration('24h'))",
            message="must be from 10s to 24h, like 60s",
            holds=lambda text: duration_in_seconds("10s") <= duration_in_seconds(text) <= duration_in_seconds("24h"),
        ),
        Field(description="How often a pod reports; a report three intervals old counts as stale."),
    ] = "60s"
