"""What handlers did, as records in the audit log."""

from enum import StrEnum

from riskbus.bus.queueing import DropReason
from riskbus.bus.subscription import Subscription
from riskbus.events import EventPriority, RiskEvent, event_type_name
from riskbus.runtime import AuditLog

HANDLER_OUTCOME = "HANDLER_OUTCOME"
"""Event type of such a record. It is appended to the log and never published, so nothing comes of it but the record."""

LATENCY_SLO_BREACH = "LATENCY_SLO_BREACH"
SUBSCRIBER_QUARANTINED = "SUBSCRIBER_QUARANTINED"
SUBSCRIBER_RECOVERED = "SUBSCRIBER_RECOVERED"
OWN_TYPES = frozenset({LATENCY_SLO_BREACH, SUBSCRIBER_QUARANTINED, SUBSCRIBER_RECOVERED})
"""What the bus publishes about itself. Deliveries of these cause neither outcome records nor further such events."""

SOURCE = "riskbus"


class Outcome(StrEnum):
    """What became of one delivery."""

    RAN = "ran"
    LATE = "late"
    """It ran, but began or ended later than the objective of its priority allows."""
    RAISED = "raised"
    DROPPED = "dropped"


class Outcomes:
    """Records what handlers did with events of some priorities.

    Thread-safety: every method from any thread.

    Args:
        log: Where the records go.
        priorities: Of which events.

    Attributes:
        priorities: Of which events.
    """

    def __init__(self, log: AuditLog, priorities: frozenset[EventPriority]) -> None:
        self._log = log
        self._stopped = False
        self.priorities = priorities

    def stop(self) -> None:
        """Record nothing more: the log ends now, and what it cannot take would count as lost evidence."""
        self._stopped = True

    def concern(self, event: RiskEvent) -> bool:
        """Whether deliveries of this event are recorded."""
        return not self._stopped and event.priority in self.priorities and event.event_type not in OWN_TYPES

    def handled(  # noqa: PLR0913, PLR0917 -- the fields of a record
        self,
        event: RiskEvent,
        subscription: Subscription,
        hand_off_ns: int,
        handler_ns: int,
        failure: str | None,
        late: bool,
    ) -> None:
        """Record a call of a handler; `failure` is the text of what it raised."""
        figures: dict[str, object] = {"hand_off_us": hand_off_ns / 1000, "handler_us": handler_ns / 1000}
        if failure is not None:
            figures["error"] = failure
        self._record(event, subscription, Outcome.RAISED if failure else Outcome.LATE if late else Outcome.RAN, figures)

    def dropped(self, event: RiskEvent, subscription: Subscription, reason: DropReason) -> None:
        """Record that a handler never gets an event."""
        self._record(event, subscription, Outcome.DROPPED, {"reason": reason})

    def _record(
        self, event: RiskEvent, subscription: Subscription, outcome: Outcome, figures: dict[str, object]
    ) -> None:
        data = {
            "event_id": event.event_id,
            "event_type": event_type_name(event.event_type),
            "priority": event.priority.name,
            "subscription": subscription.name,
            "outcome": outcome,
            **figures,
        }
        self._log.append(RiskEvent(HANDLER_OUTCOME, EventPriority.LOW, SOURCE, data))
