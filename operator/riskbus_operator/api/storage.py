"""Sections `volume`, `retention` and `backup` of a policy: where records are kept, and for how long."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .model import Model, Rule
from .quantity import size_in_bytes
from .strings import NOT_YET, SET, DnsName, Percent, Size, matching

# What the library does where nothing is said; a test holds them to its settings.
LIBRARY_RETENTION_DAYS = 1827
LIBRARY_ROTATION_KEEP = 30


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
            json_schema_extra=SET,
            description="Access modes of the claims. ReadWriteMany is needed when several pods of a workload run at "
            "once. Immutable.",
        ),
    ] = (AccessMode.READ_WRITE_ONCE,)
    auto_resize: Annotated[AutoResize | None, Field(description=f"Growth of the volume as it fills; {NOT_YET}.")] = None


class Retention(Model):
    """How long the records are kept. The operator deletes no claim; the library in the pods prunes what is older."""

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
            message=f"legalHold is {NOT_YET}: leave it out, and give days: 36525 as long as the hold lasts",
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
            json_schema_extra=SET,
            description="Named rules that the retention is to help you meet; the longest period wins.",
        ),
    ] = ()
    days: Annotated[
        int | None,
        Field(
            ge=1,
            le=36525,
            description="RISK_AUDIT_RETENTION_DAYS: days that every record is kept, at least; a segment goes only when "
            f"all of it is older. Unset: {LIBRARY_RETENTION_DAYS}, the library's own.",
        ),
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
