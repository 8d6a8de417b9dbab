"""A published event that lacks what an auditor will ask for is told of, once, and recorded all the same."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from riskbus import EventPriority, EventType, RiskEvent, RiskEventBus, evidence
from riskbus.testing import read_events

WHOSE = evidence.Responsible(algorithm="intraday-jules 4.2", desk="equities-eu")


@pytest.fixture
def bus(path: Path, registry: CollectorRegistry) -> Iterator[RiskEventBus]:
    """A real bus."""
    with RiskEventBus(audit_log_path=path, registry=registry) as opened:
        yield opened


def bare(kind: str) -> RiskEvent:
    """An event that says nothing but its kind."""
    return RiskEvent(kind, EventPriority.CRITICAL, "tests")


def test_the_warning_names_the_event_what_it_lacks_and_the_rule(
    bus: RiskEventBus, caplog: pytest.LogCaptureFixture
) -> None:
    """Enough to mend the program without reading ours."""
    event = bare(EventType.KILL_SWITCH)
    bus.publish(event)
    (message,) = [record.getMessage() for record in caplog.records if record.name == "riskbus.bus"]
    for words in ("KILL_SWITCH", event.event_id, "algorithm, trader or desk or client", "RTS 6 Art. 12(3)"):
        assert words in message


def test_many_incomplete_events_are_one_line_each_kind_and_all_counted(
    bus: RiskEventBus, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """A program that forgets the desk forgets it a thousand times."""
    for _ in range(100):
        bus.publish(bare("OVERRIDE"))
        bus.publish(bare(EventType.KILL_SWITCH))
    lines = [record for record in caplog.records if record.name == "riskbus.bus"]
    assert [record.levelno for record in lines] == [logging.WARNING] * 2
    assert bus.statistics().incomplete == {"OVERRIDE": 100, "KILL_SWITCH": 100}
    text = generate_latest(registry).decode()
    assert 'riskbus_incomplete_evidence_total{event_type="OVERRIDE"} 100.0' in text
    assert 'riskbus_incomplete_evidence_total{event_type="RE_ENABLE"} 0.0' in text


def test_complete_events_and_other_kinds_are_not_told_of(bus: RiskEventBus, caplog: pytest.LogCaptureFixture) -> None:
    """A warning that cries wolf is switched off."""
    bus.publish(evidence.kill_switch("Feed", WHOSE, rule_triggered="staleness"))
    bus.publish(bare("THROTTLE"))
    assert not [record for record in caplog.records if record.name == "riskbus.bus"]
    assert bus.statistics().incomplete == {}


def test_an_incomplete_event_reaches_its_handlers_first_and_the_log(bus: RiskEventBus, path: Path) -> None:
    """The check may never stand in the way of a kill switch."""
    counted: list[object] = []
    bus.subscribe(EventType.KILL_SWITCH, lambda _: counted.append(bus.statistics().incomplete), inline=True)
    bus.publish(bare(EventType.KILL_SWITCH))
    assert counted == [{}]
    assert bus.statistics().incomplete == {"KILL_SWITCH": 1}
    bus.audit_log.flush(10)
    assert [record["event_type"] for record in read_events(path)] == ["KILL_SWITCH"]


def test_what_was_counted_stays_counted_after_the_bus_is_closed(bus: RiskEventBus, registry: CollectorRegistry) -> None:
    """Counters never go back."""
    bus.publish(bare(EventType.KILL_SWITCH))
    bus.close()
    assert 'riskbus_incomplete_evidence_total{event_type="KILL_SWITCH"} 1.0' in generate_latest(registry).decode()
