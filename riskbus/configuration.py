"""Changes of settings while a bus runs: which are possible, and what they change. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from riskbus.errors import SettingsError
from riskbus.settings import AuditSettings

CHANGEABLE = frozenset(
    {
        "durability",
        "rotation_max_size",
        "rotation_max_age",
        "rotation_compress",
        "rotation_keep",
        "retention_days",
        "staging_overflow",
        "report_interval",
        "max_workers",
        "latency_slo_us",
        "record_outcomes",
        "slow_subscriber_seconds",
    }
)
"""Settings that can change while a bus runs."""

WHY_NOT = {
    "path": "the log's place is chosen when it starts",
    "staging_dir": "records on their way are there",
    "staging_size": "records on their way are there",
    "second_dir": "the writer may be on it",
    "writer": "records are on their way to it",
    "stream": "the log's signatures carry its name",
    "enable_latency_monitoring": "a latency that was half measured would be wrong",
    "config_file": "it says where changes come from",
}
"""Why others cannot; those that are not here are used once, at the start."""

_AT_START = "it is used once, at the start"

Settings = TypeVar("Settings", bound=AuditSettings)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the configuration: the payload of an AUDIT_CONFIG record.

    Attributes:
        origin: where it comes from: "reconfigure()", or a file.
        changes: by setting, its value before and after.
        actor: who changed it.
        approved_by: who approved it.
        reason: why.
    """

    origin: str
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    actor: str = ""
    approved_by: str = ""
    reason: str = ""


def changed(
    settings: Settings, values: Mapping[str, object], sources: Mapping[str, str], *, at_start: bool = False
) -> Settings:
    """Return settings with some values changed, all of them or none.

    Args:
        settings: those of now.
        values: the new values, by setting.
        sources: where each comes from, for the message.
        at_start: whether nothing runs yet, so that every setting can change.

    Raises:
        SettingsError: a value is wrong, or is of a setting that cannot change now; the message lists every one.
    """
    updated = settings.validated({**_values(settings), **values}, sources)
    fixed = [
        f"{sources[name]}={str(values[name])!r} cannot change while the process runs, "
        f"as {WHY_NOT.get(name, _AT_START)}; restart it for that"
        for name in values
        if not at_start and name not in CHANGEABLE and getattr(updated, name) != getattr(settings, name)
    ]
    if fixed:
        raise SettingsError("; ".join(fixed))
    return updated


def differences(before: AuditSettings, after: AuditSettings) -> dict[str, dict[str, Any]]:
    """Return what differs, with values as JSON has them."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    return {name: {"before": old[name], "after": new[name]} for name in new if new[name] != old[name]}


def _values(settings: AuditSettings) -> dict[str, object]:
    return {name: getattr(settings, name) for name in type(settings).model_fields}
