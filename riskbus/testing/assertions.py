"""Assertions about published events whose failures say what was there instead."""

from collections.abc import Sequence
from enum import Enum
from typing import Any

from riskbus.completeness import missing
from riskbus.events import RiskEvent, event_type_name
from riskbus.testing.bus import RecordingBus
from riskbus.testing.log import MemoryAuditLog


def assert_published(bus: RecordingBus, event_type: str | Enum, **fields: object) -> RiskEvent:
    """Assert that exactly one event of a type was published, and return it.

    Args:
        bus: Where it was published.
        event_type: Its type.
        fields: What stands in its `data` or `metadata`.

    Raises:
        AssertionError: There is none or several, or a field differs.
    """
    found = bus.events_of(event_type)
    if len(found) != 1:
        raise AssertionError(
            f"{len(found)} events of {event_type_name(event_type)} were published; {_others(bus.events)}"
        )
    said = {**found[0].metadata, **found[0].data}
    wrong = {
        name: said.get(name, "nothing") for name, value in fields.items() if name not in said or said[name] != value
    }
    if wrong:
        raise AssertionError(f"{event_type_name(event_type)} says {wrong!r} where {fields!r} was expected")
    return found[0]


def assert_not_published(bus: RecordingBus, event_type: str | Enum) -> None:
    """Assert that no event of a type was published.

    Raises:
        AssertionError: There is one.
    """
    found = bus.events_of(event_type)
    if found:
        raise AssertionError(f"{len(found)} events of {event_type_name(event_type)} were published: {found!r}")


def assert_complete(event: RiskEvent) -> None:
    """Assert that an event says everything that an auditor will ask for; see docs/events.md.

    Raises:
        AssertionError: It lacks something.
    """
    kind = event_type_name(event.event_type)
    lacking = missing(kind, event.data, event.metadata)
    if lacking:
        raise AssertionError(f"{kind} lacks {', '.join(lacking)}")


def assert_recorded(log: MemoryAuditLog, event: RiskEvent) -> dict[str, Any]:
    """Assert that an event is in an audit log exactly once, and return its record. Waits until it is durable.

    Raises:
        AssertionError: It is not there, or more than once.
    """
    found = [record for record in log.events() if record["event_id"] == event.event_id]
    if len(found) != 1:
        raise AssertionError(f"event {event.event_id} is in the audit log {len(found)} times")
    return found[0]


def _others(events: Sequence[RiskEvent]) -> str:
    kinds = sorted({event_type_name(event.event_type) for event in events})
    return f"there were {', '.join(kinds)}" if kinds else "nothing was published at all"
