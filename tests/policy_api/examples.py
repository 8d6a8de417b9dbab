"""Policies for the tests: a good one, good variants of it, and a table of bad ones with what must be said of each."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

MISSING = object()

GOOD: dict[str, Any] = {
    "apiVersion": "riskbus.io/v1alpha1",
    "kind": "RiskAuditPolicy",
    "metadata": {"name": "intraday", "namespace": "trading"},
    "spec": {
        "workloads": {"selector": {"matchLabels": {"app": "intraday-jules"}}},
        "audit": {"logPath": "/var/log/intraday-jules/risk_audit.jsonl"},
        "volume": {"size": "50Gi", "storageClassName": "fast-ssd"},
    },
}


def changed(changes: dict[str, Any], base: dict[str, Any] = GOOD) -> dict[str, Any]:
    """The policy with values set at dotted paths; MISSING takes one out."""
    policy = deepcopy(base)
    for path, value in changes.items():
        *parents, last = path.split(".")
        at = policy
        for name in parents:
            at = at.setdefault(name, {})
        if value is MISSING:
            del at[last]
        else:
            at[last] = value
    return policy


@dataclass(frozen=True)
class Bad:
    """A policy that must be refused, and the words that must be in the refusal (in any case of letters)."""

    name: str
    changes: dict[str, Any]
    says: str

    def __str__(self) -> str:
        """Name of the test case."""
        return self.name.replace(" ", "-")


_NOT_YET = "not supported yet in v0.1: leave it out"
_LOG_PATH = "spec.audit.logPath"
_DEEPER = "put the file one directory deeper, like /var/log/intraday-jules/risk_audit.jsonl"
_ABSOLUTE = "must be the absolute path of a file in a directory other than /"
_SELECTOR = "spec.workloads.selector"
_IN = {"key": "app", "operator": "In", "values": ["a"]}
_MEBI = "must be a whole number above 0 with a unit, like 50Gi"
_DURATION = "must be a whole number above 0 with the unit s, m or h, like 60s or 24h"
_ENV = "spec.audit.env"
_RESIZE = "spec.volume.autoResize"
_BACKUP = "spec.backup"
_THRESHOLDS = "spec.monitoring.thresholds"
_LABEL_KEY = "every key must be a label's key, like app or example.com/team"

BAD = (
    Bad("no spec", {"spec": MISSING}, "required"),
    Bad("a name longer than a label", {"metadata.name": "a" * 64}, "give it at most 63 characters"),
    Bad("an unknown field", {"spec.volumes": {}}, "unknown field"),
    Bad("an unknown mode", {"spec.mode": "DryRun"}, "Shadow"),
    Bad("paused as a word", {"spec.paused": "yes"}, "boolean"),
    # workloads
    Bad("no workloads", {"spec.workloads": MISSING}, "required"),
    Bad("neither selector nor names", {_SELECTOR: MISSING}, "give either selector (by label) or names (a list)"),
    Bad("selector and names", {"spec.workloads.names": ["jules"]}, "give either selector (by label) or names (a list)"),
    Bad("an empty selector", {_SELECTOR: {}}, "give at least one of matchLabels and matchExpressions"),
    Bad("a label key with a space", {_SELECTOR: {"matchLabels": {"my app": "x"}}}, _LABEL_KEY),
    Bad("a label value with a space", {_SELECTOR: {"matchLabels": {"app": "a b"}}}, "must be a label's value: letters"),
    Bad("In without values", {_SELECTOR: {"matchExpressions": [_IN | {"values": []}]}}, "In and NotIn need values"),
    Bad(
        "Exists with values",
        {_SELECTOR: {"matchExpressions": [_IN | {"operator": "Exists"}]}},
        "Exists and DoesNotExist take none",
    ),
    Bad("an unknown operator", {_SELECTOR: {"matchExpressions": [_IN | {"operator": "Gt"}]}}, "DoesNotExist"),
    Bad("a kind that is not covered", {"spec.workloads.kinds": ["DaemonSet"]}, "StatefulSet"),
    Bad("no kinds", {"spec.workloads.kinds": []}, "at least 1 item"),
    Bad(
        "a workload name in capitals",
        {_SELECTOR: MISSING, "spec.workloads.names": ["Jules"]},
        "lower-case letters, digits, '-' and '.', like 'intraday-jules'",
    ),
    Bad(
        "a container name with a dot",
        {"spec.workloads.containers": ["jules.main"]},
        "lower-case letters, digits and '-', like 'jules'",
    ),
    # audit
    Bad("no log path", {_LOG_PATH: MISSING}, "required"),
    Bad("an empty log path", {_LOG_PATH: ""}, _ABSOLUTE),
    Bad("a relative log path", {_LOG_PATH: "logs/risk_audit.jsonl"}, _ABSOLUTE),
    Bad("a log path in the root", {_LOG_PATH: "/risk_audit.jsonl"}, _ABSOLUTE),
    Bad("a log path that is a directory", {_LOG_PATH: "/var/log/jules/"}, _ABSOLUTE),
    Bad("a log path that climbs", {_LOG_PATH: "/var/log/../risk_audit.jsonl"}, _ABSOLUTE),
    Bad("a log path with a double slash", {_LOG_PATH: "/var//log/risk_audit.jsonl"}, _ABSOLUTE),
    Bad("a log path with a variable", {_LOG_PATH: "/var/log/$(POD_NAME)/risk_audit.jsonl"}, _ABSOLUTE),
    Bad("a log path in proc", {_LOG_PATH: "/proc/jules/risk_audit.jsonl"}, "nothing in /proc, /sys or /dev is durable"),
    Bad("a log path in sys", {_LOG_PATH: "/sys/fs/risk_audit.jsonl"}, "use a directory of its own"),
    Bad("a log path in shared memory", {_LOG_PATH: "/dev/shm/risk_audit.jsonl"}, "use a directory of its own"),  # noqa: S108 - to be refused
    Bad("a log path in tmp", {_LOG_PATH: "/tmp/jules/risk_audit.jsonl"}, "temporary directories are cleaned by others"),  # noqa: S108 - to be refused
    Bad("a log path that hides var", {_LOG_PATH: "/var/risk_audit.jsonl"}, _DEEPER),
    Bad("a log path that hides etc", {_LOG_PATH: "/etc/risk_audit.jsonl"}, _DEEPER),
    Bad("a log path in the pod's memory", {_LOG_PATH: "/run/riskbus/risk_audit.jsonl"}, "in which records wait"),
    Bad("an unknown durability", {"spec.audit.durability": "fsync"}, "Group"),
    Bad("a segment size in milli", {"spec.audit.rotation.maxSize": "256m"}, _MEBI),
    Bad("a segment of one byte", {"spec.audit.rotation.maxSize": "1"}, "must be at least 64Ki, like 256Mi"),
    Bad("a segment just too small", {"spec.audit.rotation.maxSize": "65535"}, "must be at least 64Ki, like 256Mi"),
    Bad("a segment age in days", {"spec.audit.rotation.maxAge": "1d"}, _DURATION),
    Bad("a segment age without unit", {"spec.audit.rotation.maxAge": "3600"}, _DURATION),
    Bad("a way of compressing", {"spec.audit.rotation.compress": "zstd"}, "boolean"),
    Bad("a variable with a dash", {_ENV: {"RISK-LEVEL": "1"}}, "every name must be an environment variable's"),
    Bad("a variable with a digit first", {_ENV: {"1ST": "1"}}, "every name must be an environment variable's"),
    Bad("the log path as a variable", {_ENV: {"RISK_AUDIT_LOG_PATH": "/x/y"}}, "leave it out and use audit.logPath"),
    Bad("the staging memory as a variable", {_ENV: {"RISK_AUDIT_STAGING_DIR": "/x"}}, "the operator sets this"),
    Bad(
        "the retention as a variable", {_ENV: {"RISK_AUDIT_RETENTION_DAYS": "1"}}, "use audit.logPath, audit.durability"
    ),
    Bad("the pod's name as a variable", {_ENV: {"POD_NAME": "x"}}, "the operator sets this variable itself"),
    # injection
    Bad("an engine of later", {"spec.injection.engine": "AdmissionPolicy"}, "Template"),
    Bad("a writer of later", {"spec.injection.writer": "Sidecar"}, "InProcess"),
    Bad("an unknown answer to conflicts", {"spec.injection.onConflict": "Overwrite"}, "Skip"),
    Bad(
        "many writers in one directory",
        {"spec.injection.perPodDirectory": False, "spec.volume.accessModes": ["ReadWriteMany"]},
        "leave injection.perPodDirectory out or set it to true",
    ),
    # volume
    Bad("no size", {"spec.volume.size": MISSING}, "required"),
    Bad("a size of nothing", {"spec.volume.size": "0"}, _MEBI),
    Bad("a negative size", {"spec.volume.size": "-5Gi"}, _MEBI),
    Bad("a size in a unit of its own", {"spec.volume.size": "50GB"}, _MEBI),
    Bad("a size with a fraction", {"spec.volume.size": "1.5Gi"}, _MEBI),
    Bad("a size as a number", {"spec.volume.size": 53687091200}, "string"),
    Bad("a volume mode of later", {"spec.volume.mode": "Shared"}, "PerWorkload"),
    Bad("a storage class in capitals", {"spec.volume.storageClassName": "Fast_SSD"}, "must be the name of an object"),
    Bad("an empty storage class", {"spec.volume.storageClassName": ""}, "must be the name of an object"),
    Bad("no access mode", {"spec.volume.accessModes": []}, "at least 1 item"),
    Bad("an access mode without writing", {"spec.volume.accessModes": ["ReadOnlyMany"]}, "ReadWriteMany"),
    Bad(
        "one pod and many",
        {"spec.volume.accessModes": ["ReadWriteOncePod", "ReadWriteMany"]},
        "ReadWriteOncePod cannot be combined with another access mode: give it alone",
    ),
    Bad("growth by itself", {_RESIZE: {"limit": "500Gi"}}, f"autoResize is {_NOT_YET}"),
    Bad("growth below the size", {_RESIZE: {"limit": "10Gi"}}, "autoResize.limit must not be below size"),
    Bad("growth at more than full", {_RESIZE: {"limit": "500Gi", "threshold": 120}}, "less than or equal to 99"),
    Bad("growth by a word", {_RESIZE: {"limit": "500Gi", "increase": "some"}}, "a share or a size, like 20% or 10Gi"),
    # retention
    Bad("an unknown preset", {"spec.retention.presets": ["sox"]}, "eu-mifid2-algo"),
    Bad("no day at all", {"spec.retention.days": 0}, "greater than or equal to 1"),
    Bad("days as a word", {"spec.retention.days": "1827"}, "integer"),
    Bad("a preset of later", {"spec.retention.presets": ["us-sec-worm"]}, f"presets is {_NOT_YET}, and give days"),
    Bad("a legal hold", {"spec.retention.legalHold": True}, f"legalHold is {_NOT_YET}"),
    Bad("a protected namespace", {"spec.retention.protectNamespace": True}, f"protectNamespace is {_NOT_YET}"),
    Bad("claims deleted with the policy", {"spec.retention.onPolicyDelete": "Delete"}, "Retain"),
    # monitoring
    Bad("a threshold of nothing", {_THRESHOLDS: {"volumeFreeCriticalPercent": 0}}, "greater than or equal to 1"),
    Bad("a threshold of everything", {_THRESHOLDS: {"volumeFreeWarningPercent": 100}}, "less than or equal to 99"),
    Bad(
        "critical before warning",
        {_THRESHOLDS: {"volumeFreeCriticalPercent": 20}},
        "must be below volumeFreeWarningPercent, like 3 and 15",
    ),
    Bad("a rule label with a space", {"spec.monitoring.ruleLabels": {"my team": "x"}}, _LABEL_KEY),
    Bad("a pod monitor", {"spec.monitoring.podMonitorLabels": {"team": "x"}}, f"podMonitorLabels is {_NOT_YET}"),
    Bad("a runbook without scheme", {"spec.monitoring.runbookBaseURL": "runbooks/audit"}, "begin with https://"),
    # backup
    Bad("a backup", {_BACKUP: {"schedule": "0 2 * * *"}}, f"backup is {_NOT_YET}"),
    Bad("a backup at no time", {_BACKUP: {"schedule": "daily"}}, "must be five fields of cron"),
    Bad("a backup with six fields", {_BACKUP: {"schedule": "0 0 2 * * *"}}, "must be five fields of cron"),
    # validation
    Bad("a readiness gate", {"spec.validation.readinessGate": True}, f"readinessGate is {_NOT_YET}"),
    Bad("reports every second", {"spec.validation.interval": "1s"}, "must be from 10s to 24h, like 60s"),
    Bad("reports every week", {"spec.validation.interval": "168h"}, "must be from 10s to 24h, like 60s"),
    Bad("reports in go's fractions", {"spec.validation.interval": "1.5h"}, _DURATION),
)

VARIANTS: dict[str, dict[str, Any]] = {
    "the least": {"spec.volume": {"size": "1Gi"}},
    "by names": {_SELECTOR: MISSING, "spec.workloads.names": ["intraday-jules", "overnight.v2"]},
    "by expression": {_SELECTOR: {"matchExpressions": [_IN, {"key": "example.com/team", "operator": "Exists"}]}},
    "one container": {"spec.workloads.containers": ["jules"], "spec.workloads.kinds": ["StatefulSet"]},
    "a deep and hidden path": {_LOG_PATH: "/data/.audit/eu-1/risk_audit.v2.jsonl"},
    "a volume at the top": {_LOG_PATH: "/data/risk_audit.jsonl"},
    "every event at once": {
        "spec.audit.durability": "Sync",
        "spec.audit.rotation": {"maxSize": "1G", "maxAge": "90m", "compress": True},
        _ENV: {"RISK_AUDIT_STREAM": "intraday", "RISK_AUDIT_REPORT": "off", "_REGION": ""},
    },
    "the smallest segments, plain": {"spec.audit.rotation": {"maxSize": "64Ki", "compress": False}},
    "a writer of its own": {"spec.injection.writer": "ChildProcess"},
    "many pods": {"spec.volume.accessModes": ["ReadWriteMany"], "spec.injection.perPodDirectory": True},
    "one writer for sure": {"spec.volume.accessModes": ["ReadWriteOncePod"], "spec.injection.perPodDirectory": False},
    "retention": {"spec.retention": {"days": 2557, "lock": True}},
    "alerts": {
        "spec.monitoring": {
            "ruleLabels": {"example.com/team": "risk", "prometheus": ""},
            "thresholds": {"volumeFreeWarningPercent": 25, "volumeFreeCriticalPercent": 10},
            "runbookBaseURL": "https://runbooks.example.com/audit/",
        }
    },
    "looking on": {"spec.mode": "Shadow", "spec.paused": True, "spec.injection.onConflict": "Skip"},
    "no demands": {"spec.validation": {"required": False, "interval": "24h"}, "spec.monitoring.enabled": False},
}
