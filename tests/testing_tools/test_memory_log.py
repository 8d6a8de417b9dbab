"""The log in memory is a real one that leaves nothing behind."""

import inspect
import os
from pathlib import Path

import pytest

from riskbus import AuditLog, EventPriority, RiskEvent
from riskbus.store.verification import verify_tree
from riskbus.testing import MemoryAuditLog


def event(number: int = 0) -> RiskEvent:
    """An event to record."""
    return RiskEvent("LIMIT_BREACH", EventPriority.HIGH, "tests", data={"number": number})


def test_it_has_the_interface_of_the_audit_log() -> None:
    """What is tested with it runs with the other."""
    assert issubclass(MemoryAuditLog, AuditLog)
    for name, method in inspect.getmembers(AuditLog, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(method) == inspect.signature(getattr(MemoryAuditLog, name))


def test_events_are_there_without_waiting_and_in_order(risk_audit_log: MemoryAuditLog) -> None:
    """A test asks right after it published."""
    for number in range(100):
        risk_audit_log.append(event(number))
    assert [record["data"]["number"] for record in risk_audit_log.events()] == list(range(100))


def test_its_records_are_sealed_like_any_other(risk_audit_log: MemoryAuditLog) -> None:
    """The verifier takes it for what it is: an audit log."""
    risk_audit_log.append(event())
    assert risk_audit_log.flush(10)
    report = verify_tree(risk_audit_log.settings.path.parent, [], lambda _: None)
    assert {finding.kind for finding in report.findings} <= {"unsealed"}  # the newest second, as in any log
    assert report.streams[0].incarnations
    assert risk_audit_log.records()[0]["event_type"] == "AUDIT_OPEN"


def test_nothing_is_on_disk_and_nothing_stays_in_memory() -> None:
    """A thousand tests leave not one file."""
    with MemoryAuditLog() as log:
        path = log.settings.path
        assert log.append(event()).wait_durable(10)
        assert Path("/dev/shm") in path.parents  # noqa: S108 -- that is the point
    assert not path.parents[1].exists()


def test_what_was_recorded_can_be_asked_for_after_the_end() -> None:
    """The end of a program is what many tests look at."""
    with MemoryAuditLog() as log:
        log.append(event(7))
    assert [record["data"]["number"] for record in log.events()] == [7]
    assert [record["event_type"] for record in log.records()][-2:] == ["AUDIT_CLOSE", "AUDIT_CHECKPOINT"]
    assert log.close() == ()


def test_it_reads_no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A test on a developer's machine does what it does elsewhere, and keeps off the real log."""
    monkeypatch.setenv("RISK_AUDIT_LOG_PATH", str(tmp_path / "real.jsonl"))
    monkeypatch.setenv("RISK_AUDIT_DURABILITY", "nonsense")
    with MemoryAuditLog() as log:
        log.append(event())
    assert list(tmp_path.iterdir()) == []


def test_other_settings_can_be_tried() -> None:
    """Rotation, for example, without 256 MiB of events."""
    with MemoryAuditLog(rotation_max_size=64 << 10) as log:
        for _ in range(100):
            log.append(RiskEvent("LIMIT_BREACH", EventPriority.HIGH, "tests", data={"text": "x" * 2000}))
            log.flush(10)
        assert len(list(log.settings.path.parent.glob("risk_audit-*"))) > 1
        assert len(log.events()) == 100


def test_the_child_of_a_fork_takes_nothing_away() -> None:
    """Its end must not remove the directory under its parent."""
    with MemoryAuditLog() as log:
        assert log.append(event(1)).wait_durable(10)
        if not (child := os.fork()):
            log.close()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert log.append(event(2)).wait_durable(10)
        assert [record["data"]["number"] for record in log.events()] == [1, 2]
