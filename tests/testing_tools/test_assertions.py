"""An assertion that fails says what was there instead."""

import pytest

from riskbus import EventPriority, EventType, RiskEvent, evidence
from riskbus.testing import (
    MemoryAuditLog,
    RecordingBus,
    assert_complete,
    assert_not_published,
    assert_published,
    assert_recorded,
)

KILL = evidence.kill_switch(
    "Feed", evidence.Responsible(algorithm="jules", desk="eu"), rule_triggered="stale", data={"limit": 5}
)


def test_the_one_event_of_a_type_is_returned(risk_bus: RecordingBus) -> None:
    """For whatever else the test wants to know of it."""
    risk_bus.publish(KILL)
    assert assert_published(risk_bus, EventType.KILL_SWITCH, limit=5, desk="eu") is KILL
    assert assert_published(risk_bus, "KILL_SWITCH") is KILL


def test_none_and_several_are_told_apart(risk_bus: RecordingBus) -> None:
    """A kill switch that is pulled twice is a mistake, too."""
    with pytest.raises(AssertionError, match="0 events of KILL_SWITCH were published; nothing was published at all"):
        assert_published(risk_bus, "KILL_SWITCH")
    risk_bus.publish(RiskEvent("THROTTLE", EventPriority.LOW, "tests"))
    with pytest.raises(AssertionError, match="0 events of KILL_SWITCH were published; there were THROTTLE"):
        assert_published(risk_bus, "KILL_SWITCH")
    risk_bus.publish(RiskEvent("THROTTLE", EventPriority.LOW, "tests"))
    with pytest.raises(AssertionError, match="2 events of THROTTLE"):
        assert_published(risk_bus, "THROTTLE")


def test_a_field_that_differs_or_is_not_there_is_named(risk_bus: RecordingBus) -> None:
    """Not only that something differs."""
    risk_bus.publish(KILL)
    with pytest.raises(AssertionError, match=r"\{'limit': 5\} where \{'limit': 6\} was expected"):
        assert_published(risk_bus, "KILL_SWITCH", limit=6)
    with pytest.raises(AssertionError, match="'client': 'nothing'"):
        assert_published(risk_bus, "KILL_SWITCH", client="c-1")
    with pytest.raises(AssertionError, match="'client': 'nothing'"):
        assert_published(risk_bus, "KILL_SWITCH", client="nothing")


def test_what_must_not_happen_did_not(risk_bus: RecordingBus) -> None:
    """The other half of every rule."""
    assert_not_published(risk_bus, "KILL_SWITCH")
    risk_bus.publish(KILL)
    with pytest.raises(AssertionError, match="1 events of KILL_SWITCH were published"):
        assert_not_published(risk_bus, "KILL_SWITCH")


def test_incomplete_evidence_is_found_before_an_auditor_does() -> None:
    """The same check as the bus has, as a failure of the build."""
    assert_complete(KILL)
    with pytest.raises(AssertionError, match="KILL_SWITCH lacks algorithm, trader or desk or client, "):
        assert_complete(RiskEvent(EventType.KILL_SWITCH, EventPriority.CRITICAL, "tests"))


def test_an_event_that_was_not_recorded_is_found(risk_audit_log: MemoryAuditLog) -> None:
    """In the log once: not never, not twice."""
    with pytest.raises(AssertionError, match=f"event {KILL.event_id} is in the audit log 0 times"):
        assert_recorded(risk_audit_log, KILL)
    risk_audit_log.append(KILL)
    assert assert_recorded(risk_audit_log, KILL)["data"] == {"limit": 5}
    risk_audit_log.append(KILL)
    with pytest.raises(AssertionError, match="2 times"):
        assert_recorded(risk_audit_log, KILL)


def test_a_recording_bus_can_have_its_log_in_memory() -> None:
    """One line in a test, without fixtures."""
    with RecordingBus() as bus:
        bus.publish(KILL)
        assert isinstance(bus.audit_log, MemoryAuditLog)
    assert_recorded(bus.audit_log, KILL)
    assert not bus.audit_log.settings.path.parent.exists()
