"""The spec of a policy: its sections, and the rules between them.

A value whose behaviour this version does not have is refused with a message that says so, never silently ignored.
"""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from .audit import Audit, Injection
from .model import Model, Rule
from .quantity import duration_in_seconds
from .storage import AccessMode, Backup, Retention, Volume
from .strings import NOT_YET, Duration, Labels, Percent, matching
from .workloads import Workloads


class Mode(StrEnum):
    """Whether the policy changes anything."""

    ENFORCE = "Enforce"
    SHADOW = "Shadow"


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


class PolicySpec(Model):
    """What a user asks for."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.backup)",
            message=f"backup is {NOT_YET}: leave it out, and back the claims up by your own means",
            holds=lambda self: self.backup is None,
        ),
        Rule(
            cel="!has(self.injection.perPodDirectory) || self.injection.perPodDirectory || "
            "!('ReadWriteMany' in self.volume.accessModes)",
            message="with ReadWriteMany several pods write at once, each in a directory of its own: leave "
            "injection.perPodDirectory out or set it to true",
            holds=lambda self: (
                self.injection.per_pod_directory is not False
                or AccessMode.READ_WRITE_MANY not in self.volume.access_modes
            ),
        ),
    )
    mode: Annotated[
        Mode,
        Field(
            description="Enforce: make it so. Shadow: work everything out and show it in the status, change nothing."
        ),
    ] = Mode.ENFORCE
    paused: Annotated[bool, Field(description="Leave everything as it is until this is false again.")] = False
    workloads: Annotated[Workloads, Field(description="Which workloads of this namespace the policy covers.")]
    audit: Annotated[Audit, Field(description="Where the audit log is and how it is written.")]
    injection: Annotated[Injection, Field(description="How settings get into the workloads.")] = Injection()
    volume: Annotated[Volume, Field(description="The claim that holds the audit log.")]
    retention: Annotated[Retention, Field(description="How long records are kept.")] = Retention()
    monitoring: Annotated[Monitoring, Field(description="Alert rules.")] = Monitoring()
    backup: Annotated[Backup | None, Field(description=f"Scheduled backups; {NOT_YET}.")] = None
    validation: Annotated[Validation, Field(description="What the pods must report.")] = Validation()
