"""riskbus: a prioritised risk-event bus whose every event becomes a line of a durable, tamper-evident audit log.

What may live here: the public names. `riskbus.sensors` has calculators that find risks.
"""

from riskbus import interpreter  # noqa: F401 -- first of all: it refuses interpreters that are not safe
from riskbus.bus import BusStatistics, LatencyPath, RiskEventBus, Subscription, Unfinished, WhenFull
from riskbus.bus_settings import BusSettings
from riskbus.clock import ClockStatus
from riskbus.errors import ClosedError, FormatError, InvalidEventError, RiskBusError, SettingsError
from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.mount import MountReport
from riskbus.runtime import AuditLog, Checkpoint, Receipt
from riskbus.settings import AuditSettings
from riskbus.status import LogStatus

__all__ = [
    "AuditLog",
    "AuditSettings",
    "BusSettings",
    "BusStatistics",
    "Checkpoint",
    "ClockStatus",
    "ClosedError",
    "EventPriority",
    "EventType",
    "FormatError",
    "InvalidEventError",
    "LatencyPath",
    "LogStatus",
    "MountReport",
    "Receipt",
    "RiskBusError",
    "RiskEvent",
    "RiskEventBus",
    "SettingsError",
    "Subscription",
    "Unfinished",
    "WhenFull",
]
