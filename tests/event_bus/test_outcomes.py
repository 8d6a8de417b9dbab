"""The audit log says what handlers did with what matters most."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from riskbus import EventPriority, RiskEvent, RiskEventBus, SettingsError
from riskbus.testing import Inbox, read_records

Open = Callable[..., RiskEventBus]
Make = Callable[..., RiskEvent]
Until = Callable[[Callable[[], object]], bool]
CRITICAL, HIGH, NORMAL, LOW = EventPriority


def outcomes(path: Path) -> list[dict[str, Any]]:
    """Return the data of the outcome records."""
    return [record["data"] for record in read_records(path) if record["event_type"] == "HANDLER_OUTCOME"]


def broken(_event: RiskEvent) -> None:
    """Fail."""
    raise LookupError("no such account")


@pytest.mark.parametrize("inline", [True, False])
def test_what_ran_and_what_raised_is_recorded_for_critical_and_high(
    bus: RiskEventBus, make: Make, path: Path, *, inline: bool
) -> None:
    """That the kill switch was thrown is half of the evidence; that it did something is the other."""
    bus.subscribe(None, lambda _: None, name="good", inline=inline)
    bus.subscribe(None, broken, name="broken", inline=inline)
    events = [make(priority) for priority in EventPriority]
    for event in events:
        bus.publish(event)
    assert not bus.close(10)
    found = outcomes(path)
    assert sorted((each["event_id"], each["subscription"], each["outcome"]) for each in found) == sorted(
        (event.event_id, name, outcome)
        for event in events[:2]
        for name, outcome in (("good", "ran"), ("broken", "raised"))
    )
    assert {each["error"] for each in found if each["outcome"] == "raised"} == {"LookupError: no such account"}
    assert all(each["event_type"] == "LIMIT_BREACH" and each["handler_us"] >= 0 for each in found)
    assert {each["priority"] for each in found} == {"CRITICAL", "HIGH"}


def test_what_was_dropped_is_recorded(bus: RiskEventBus, make: Make, path: Path) -> None:
    """That a component never got to know of a limit breach is what an inquiry asks first."""
    stuck = Inbox(held=True)
    bus.subscribe(None, stuck, name="stuck", capacity=1)
    events = [make(HIGH) for _ in range(3)]
    bus.publish(events[0])
    assert stuck.wait_for(1)
    for event in events[1:]:
        bus.publish(event)
    stuck.release()
    assert not bus.close(10)
    dropped = [each for each in outcomes(path) if each["outcome"] == "dropped"]
    assert [(each["event_id"], each["reason"]) for each in dropped] == [(events[2].event_id, "queue_events")]


def test_what_ran_too_late_is_recorded_as_late(open_bus: Open, make: Make, path: Path) -> None:
    """A kill switch that worked after a second is another story than one that worked."""
    bus = open_bus(latency_slo_us={CRITICAL: 1_000})
    pause = threading.Event()
    bus.subscribe("LIMIT_BREACH", lambda _: pause.wait(0.01), name="slow", inline=True)
    bus.publish(make(CRITICAL))
    assert not bus.close(10)
    assert [(each["subscription"], each["outcome"]) for each in outcomes(path)] == [("slow", "late")]


def test_the_record_of_the_event_comes_before_those_of_its_handlers(bus: RiskEventBus, make: Make, path: Path) -> None:
    """Cause first: the log is read from top to bottom."""
    bus.subscribe(None, lambda _: None, inline=True)
    event = make(CRITICAL)
    bus.publish(event)
    assert not bus.close(10)
    kinds = [record["event_type"] for record in read_records(path)]
    assert kinds.index("LIMIT_BREACH") < kinds.index("HANDLER_OUTCOME")


def test_a_handler_that_closes_the_bus_is_not_counted_as_lost_evidence(
    bus: RiskEventBus, make: Make, path: Path, until: Until, registry: CollectorRegistry
) -> None:
    """What it did cannot be in a log that it ended; `audit_lost_total` is there to wake people up."""
    closed: list[object] = []
    bus.subscribe(None, lambda _: closed.append(bus.close(20)))
    bus.publish(make(CRITICAL))
    assert until(lambda: closed and bus.statistics().delivered[CRITICAL])
    assert outcomes(path) == []
    assert registry.get_sample_value("audit_lost_total", {"path": str(path)}) == 0


def test_an_interrupt_in_an_inline_handler_is_counted_as_a_failure(bus: RiskEventBus, make: Make) -> None:
    """Ctrl-C goes on to the program, and the figures still add up."""

    def interrupted(_event: RiskEvent) -> None:
        raise KeyboardInterrupt

    bus.subscribe(None, interrupted, inline=True)
    with pytest.raises(KeyboardInterrupt):
        bus.publish(make())
    assert bus.statistics().published[NORMAL] == 1
    assert [each.failed for each in bus.statistics().subscriptions] == [1]


def test_records_of_handlers_cause_no_records(bus: RiskEventBus, make: Make, path: Path) -> None:
    """A record about a record about a record would fill the volume."""
    everything = Inbox()
    bus.subscribe(None, everything, inline=True)
    bus.publish(make(CRITICAL))
    assert not bus.close(10)
    assert len(outcomes(path)) == 1
    assert len(everything.events) == 1


@pytest.mark.parametrize(("recorded", "expected"), [((), []), ((LOW,), ["LOW"]), (EventPriority, list("CHNL"))])
def test_which_priorities_are_recorded_can_be_set(
    open_bus: Open, make: Make, path: Path, recorded: list[EventPriority], expected: list[str]
) -> None:
    """What matters is the user's to say, and so is the price."""
    bus = open_bus(record_outcomes=recorded)
    bus.subscribe(None, lambda _: None, inline=True)
    for priority in EventPriority:
        bus.publish(make(priority))
    assert not bus.close(10)
    found = [each["priority"] for each in outcomes(path)]
    assert [name[: len(wanted)] for name, wanted in zip(found, expected, strict=True)] == expected


def test_a_priority_that_is_none_is_refused(open_bus: Open) -> None:
    """Found when the program starts."""
    with pytest.raises(SettingsError, match="record_outcomes"):
        open_bus(record_outcomes=["URGENT"])
