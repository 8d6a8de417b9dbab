"""Settings of the event bus: those of its audit log, and its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, field_serializer

from riskbus.events import EventPriority
from riskbus.settings import VARIABLES, AuditSettings

LEAST_WORKERS = 2
"""One reserved for CRITICAL and one for everything else."""


def _objectives(value: object) -> object:
    """Read objectives from a text like CRITICAL=50,HIGH=500, or from a table with names of priorities."""
    if isinstance(value, str):
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        value = {name.strip(): microseconds.strip() for name, _, microseconds in pairs}
    if not isinstance(value, Mapping):
        raise ValueError(  # noqa: TRY004 -- the only kind that pydantic collects
            "use microseconds for each priority, for example CRITICAL=50,HIGH=500"
        )
    return {_priority(key): _microseconds(key, each) for key, each in value.items()}


def _priority(key: object) -> EventPriority:
    if isinstance(key, EventPriority):
        return key
    if isinstance(key, str) and key.upper() in EventPriority.__members__:
        return EventPriority[key.upper()]
    raise ValueError(f"{key!r} is not an EventPriority; use CRITICAL, HIGH, NORMAL or LOW")


def _microseconds(key: object, value: object) -> float:
    try:
        microseconds = float(value)  # type: ignore[arg-type]  # what cannot be converted is refused here
    except (TypeError, ValueError):
        microseconds = 0.0
    if not 0 < microseconds < float("inf"):
        raise ValueError(f"{key!s} has {value!r}; use a positive number of microseconds")
    return microseconds


class BusSettings(AuditSettings):
    """How a bus and its audit log work. Immutable, so safe to share between threads.

    Attributes:
        max_workers: most threads that run handlers, one of them reserved for CRITICAL. `RISKBUS_MAX_WORKERS`.
        enable_latency_monitoring: whether latencies are measured. `RISKBUS_ENABLE_LATENCY_MONITORING`.
        latency_slo_us: latency objective of each priority in microseconds, as CRITICAL=50,HIGH=500.
            `RISKBUS_LATENCY_SLO_US`.
        config_file: a TOML file, watched for changes while the bus runs. `RISKBUS_CONFIG_FILE`.
    """

    max_workers: Annotated[int, Field(ge=LEAST_WORKERS)] = 10
    enable_latency_monitoring: bool = True
    latency_slo_us: Annotated[Mapping[EventPriority, float], BeforeValidator(_objectives)] = Field(default_factory=dict)
    config_file: Path | None = None

    @field_serializer("latency_slo_us")
    def _name_priorities(self, objectives: Mapping[EventPriority, float]) -> dict[str, float]:
        return {priority.name: microseconds for priority, microseconds in objectives.items()}

    @classmethod
    def variables(cls) -> Mapping[str, str]:
        """Return which environment variable sets which field."""
        return VARIABLES | BUS_VARIABLES


BUS_VARIABLES = {
    "max_workers": "RISKBUS_MAX_WORKERS",
    "enable_latency_monitoring": "RISKBUS_ENABLE_LATENCY_MONITORING",
    "latency_slo_us": "RISKBUS_LATENCY_SLO_US",
    "config_file": "RISKBUS_CONFIG_FILE",
}
"""Which environment variable sets which field of the bus alone."""
