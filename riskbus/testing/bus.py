"""A bus that remembers what was published on it."""

import os
from enum import Enum

from prometheus_client import CollectorRegistry

from riskbus.bus import RiskEventBus
from riskbus.events import RiskEvent, event_type_name


class RecordingBus(RiskEventBus):
    """A real bus with a real audit log that also keeps every event it was given. It has metrics of its own.

    Thread-safety: as the bus.

    Args:
        audit_log_path: Where the log goes; a temporary directory of the test.

    Attributes:
        events: Every published event, in order.
    """

    def __init__(self, audit_log_path: str | os.PathLike[str]) -> None:
        super().__init__(audit_log_path=audit_log_path, registry=CollectorRegistry())
        self.events: list[RiskEvent] = []
        self.subscribe(None, self.events.append, name="recorder", inline=True)

    def events_of(self, event_type: str | Enum) -> list[RiskEvent]:
        """Return the events of one type."""
        wanted = event_type_name(event_type)
        return [event for event in self.events if event_type_name(event.event_type) == wanted]
