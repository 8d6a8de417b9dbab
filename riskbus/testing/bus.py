"""A bus that remembers what was published on it."""

import os
from enum import Enum

from prometheus_client import CollectorRegistry

from riskbus.bus import RiskEventBus, Unfinished
from riskbus.events import RiskEvent, event_type_name
from riskbus.runtime import AuditLog
from riskbus.testing.log import MemoryAuditLog


class RecordingBus(RiskEventBus):
    """A real bus with a real audit log that also keeps every event it was given.

    Thread-safety: as the bus.

    Args:
        audit_log_path: Where the log goes. None, and no `audit_log`, has it in memory.
        audit_log: A log that the caller has made, and closes.

    Attributes:
        events: Every published event, in order.
        registry: Where the metrics of the bus appear.
    """

    def __init__(
        self, audit_log_path: str | os.PathLike[str] | None = None, *, audit_log: AuditLog | None = None
    ) -> None:
        self._memory = MemoryAuditLog() if audit_log_path is None and audit_log is None else None
        self.registry = CollectorRegistry()
        self.events: list[RiskEvent] = []
        super().__init__(audit_log_path=audit_log_path, audit_log=audit_log or self._memory, registry=self.registry)
        self.subscribe(None, self.events.append, name="recorder", inline=True)

    def events_of(self, event_type: str | Enum) -> list[RiskEvent]:
        """Return the events of one type."""
        wanted = event_type_name(event_type)
        return [event for event in self.events if event_type_name(event.event_type) == wanted]

    def close(self, timeout: float = 5.0) -> Unfinished:
        """End the bus as `RiskEventBus.close` does, and its log in memory with it."""
        unfinished = super().close(timeout)
        if self._memory is None:
            return unfinished
        return Unfinished(unfinished.undelivered, self._memory.close(timeout))
