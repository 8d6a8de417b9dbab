"""Settings of the event bus: those of its audit log, and its own."""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_serializer

from riskbus.events import EventPriority
from riskbus.quantities import LONGEST_SECONDS, is_duration
from riskbus.settings import VARIABLES, AuditSettings, seconds

LEAST_WORKERS = 2
"""One reserved for CRITICAL and one for everything else."""

_MOST_WORKERS = 100_000  # more threads than a process has use for
_LONGEST_US = LONGEST_SECONDS * 1_000_000


class LatencyPath(IntEnum):
    """What a latency is the time of."""

    PUBLISH = 0
    """The call of `publish`, with the inline handlers that it ran."""
    HAND_OFF = 1
    """From the call of `publish` to the start of the handler."""
    HANDLER = 2
    """The handler itself."""
    DURABLE = 3
    """From the call of `publish` until the record is on durable storage."""


LatencyObjectives = Mapping[EventPriority, float | Mapping[LatencyPath, float]]
"""Microseconds for each priority: one number for publish, hand-off and handler, or one for each path by name."""

OF_THE_PROCESS = (LatencyPath.PUBLISH, LatencyPath.HAND_OFF, LatencyPath.HANDLER)
"""What one number stands for: a volume needs a thousand times what a handler needs, so it has an objective by name."""


def _objectives(value: object) -> object:
    """Read objectives from a text like CRITICAL=50,HIGH.DURABLE=9000, or from a table with names of priorities."""
    if isinstance(value, str):
        value = _table(value)
    if not isinstance(value, Mapping):
        raise ValueError(  # noqa: TRY004 -- the only kind that pydantic collects
            "use microseconds for each priority, for example CRITICAL=50,HIGH=500"
        )
    return {_priority(key): _objective(key, each) for key, each in value.items()}


def _table(text: str) -> dict[str, object]:
    """Return {"CRITICAL": "50", "HIGH": {"DURABLE": "9000"}}; a number beside paths becomes those it stands for."""
    table: dict[str, Any] = {}
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    for name, _, microseconds in sorted(pairs):  # "HIGH" comes before "HIGH.DURABLE"
        priority, dot, path = name.strip().partition(".")
        if not dot:
            table[priority] = microseconds.strip()
            continue
        if not isinstance(table.get(priority, {}), dict):
            table[priority] = {each.name: table[priority] for each in OF_THE_PROCESS}
        table.setdefault(priority, {})[path.strip()] = microseconds.strip()
    return table


def _objective(key: object, value: object) -> float | dict[LatencyPath, float]:
    if isinstance(value, Mapping):
        return {_path(path): _microseconds(key, each) for path, each in value.items()}
    return _microseconds(key, value)


def _path(key: object) -> LatencyPath:
    if isinstance(key, LatencyPath):
        return key
    if isinstance(key, str) and key.upper() in LatencyPath.__members__:
        return LatencyPath[key.upper()]
    raise ValueError(f"{key!r} is not a LatencyPath; use PUBLISH, HAND_OFF, HANDLER or DURABLE")


def _priorities(value: object) -> object:
    """Read priorities from a text like CRITICAL,HIGH, or from a list of them or of their names."""
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",") if name.strip()]
    return frozenset(_priority(each) for each in value) if isinstance(value, Iterable) else value


def _priority(key: object) -> EventPriority:
    if isinstance(key, EventPriority):
        return key
    if isinstance(key, str) and key.upper() in EventPriority.__members__:
        return EventPriority[key.upper()]
    raise ValueError(f"{key!r} is not an EventPriority; use CRITICAL, HIGH, NORMAL or LOW")


def _microseconds(key: object, value: object) -> float:
    try:
        microseconds = float(value)  # type: ignore[arg-type]  # what cannot be converted is refused here
    except (TypeError, ValueError, OverflowError):  # the last of an int that is too long
        microseconds = 0.0
    if not is_duration(microseconds, _LONGEST_US):
        raise ValueError(f"{key!s} has {value!r}; use a positive number of microseconds, at most {_LONGEST_US}")
    return microseconds


class BusSettings(AuditSettings):
    """How a bus and its audit log work. Immutable, so safe to share between threads.

    Attributes:
        max_workers: most threads that run handlers, one of them reserved for CRITICAL. `RISKBUS_MAX_WORKERS`.
        enable_latency_monitoring: whether latencies are measured. `RISKBUS_ENABLE_LATENCY_MONITORING`.
        latency_slo_us: latency objective of each priority in microseconds, as CRITICAL=50,HIGH=500; of one path alone
            as CRITICAL.DURABLE=9000. `RISKBUS_LATENCY_SLO_US`.
        record_outcomes: priorities whose deliveries are recorded in the audit log. `RISKBUS_RECORD_OUTCOMES`.
        slow_subscriber_seconds: how long a handler may run, and an event wait for it, before it comes into quarantine.
            `RISKBUS_SLOW_SUBSCRIBER_SECONDS`.
        config_file: a TOML file, watched for changes while the bus runs. `RISKBUS_CONFIG_FILE`.
    """

    max_workers: Annotated[int, Field(ge=LEAST_WORKERS, le=_MOST_WORKERS)] = 10
    enable_latency_monitoring: bool = True
    latency_slo_us: Annotated[LatencyObjectives, BeforeValidator(_objectives)] = Field(default_factory=dict)
    record_outcomes: Annotated[frozenset[EventPriority], BeforeValidator(_priorities)] = frozenset(
        {EventPriority.CRITICAL, EventPriority.HIGH}
    )
    slow_subscriber_seconds: Annotated[float, BeforeValidator(seconds), Field(gt=0, le=LONGEST_SECONDS)] = 5.0
    config_file: Path | None = None

    @field_serializer("latency_slo_us")
    def _name_priorities(self, objectives: LatencyObjectives) -> dict[str, float | dict[str, float]]:
        return {
            priority.name: {path.name: each for path, each in objective.items()}
            if isinstance(objective, Mapping)
            else objective
            for priority, objective in objectives.items()
        }

    @field_serializer("record_outcomes")
    def _name_recorded(self, priorities: frozenset[EventPriority]) -> list[str]:
        return [priority.name for priority in sorted(priorities)]

    @classmethod
    def variables(cls) -> Mapping[str, str]:
        """Return which environment variable sets which field."""
        return VARIABLES | BUS_VARIABLES


BUS_VARIABLES = {
    "max_workers": "RISKBUS_MAX_WORKERS",
    "enable_latency_monitoring": "RISKBUS_ENABLE_LATENCY_MONITORING",
    "latency_slo_us": "RISKBUS_LATENCY_SLO_US",
    "record_outcomes": "RISKBUS_RECORD_OUTCOMES",
    "slow_subscriber_seconds": "RISKBUS_SLOW_SUBSCRIBER_SECONDS",
    "config_file": "RISKBUS_CONFIG_FILE",
}
"""Which environment variable sets which field of the bus alone."""
