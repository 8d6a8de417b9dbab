"""The figures that alerts are built on."""

from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from riskbus.events import EventPriority, RiskEvent
from riskbus.runtime import AuditLog

Open = Callable[..., AuditLog]
Event = Callable[..., RiskEvent]


def test_events_are_counted_by_priority(open_log: Open, event: Event, registry: CollectorRegistry, path: Path) -> None:
    """Accepted events, not the log's own records."""
    log = open_log()
    log.append(event(EventPriority.CRITICAL))
    log.append(event())
    log.append(event())
    assert log.flush(30)
    log.close()
    value = registry.get_sample_value
    assert value("audit_events_total", {"path": str(path), "priority": "CRITICAL"}) == 1
    assert value("audit_events_total", {"path": str(path), "priority": "NORMAL"}) == 2
    assert value("audit_durable_seq", {"path": str(path)}) == log.status().durable_seq
    assert value("audit_write_failures_total", {"path": str(path)}) == 0
    assert value("audit_lost_total", {"path": str(path)}) == 0


def test_the_volume_is_measured(open_log: Open, registry: CollectorRegistry, path: Path) -> None:
    """AuditLogVolumeSpace compares these two."""
    log = open_log()
    assert log.wait_ready(30)
    free = registry.get_sample_value("audit_volume_free_bytes", {"path": str(path)})
    capacity = registry.get_sample_value("audit_volume_capacity_bytes", {"path": str(path)})
    assert free is not None
    assert capacity is not None
    assert 0 < free <= capacity
    assert registry.get_sample_value("audit_mount_valid", {"path": str(path)}) == 0  # the test's directory is in /tmp


def test_a_volume_that_refuses_is_counted(open_log: Open, registry: CollectorRegistry, path: Path) -> None:
    """The alert AuditLogWriteFailure is an increase of this counter."""
    path.parent.touch()
    log = open_log()
    while (registry.get_sample_value("audit_write_failures_total", {"path": str(path)}) or 0) < 2:
        assert not log.wait_ready(0.05)
    assert registry.get_sample_value("audit_failing", {"path": str(path)}) == 1


def test_counters_go_on_when_a_log_is_opened_again(
    open_log: Open, event: Event, registry: CollectorRegistry, path: Path
) -> None:
    """A counter that falls back would look like a restart."""
    for _ in range(2):
        log = open_log()
        assert log.append(event()).wait_durable(60)
        assert log.close(60) == ()
    assert registry.get_sample_value("audit_events_total", {"path": str(path), "priority": "NORMAL"}) == 2


def test_several_logs_in_a_process_are_told_apart(
    open_log: Open, registry: CollectorRegistry, path: Path, tmp_path: Path
) -> None:
    """Two logs on one path, and one on another, make one valid exposition."""
    logs = [open_log(), open_log(), open_log(path=tmp_path / "other" / "risk_audit.jsonl")]
    assert all(log.wait_ready(30) for log in logs)
    exposition = generate_latest(registry).decode()
    samples = [line.split(" ")[0] for line in exposition.splitlines() if not line.startswith("#")]
    assert len(samples) == len(set(samples))
    assert f'audit_segments_total{{path="{path}"}} 2.0' in exposition


@pytest.mark.parametrize("name", ["audit_write_failures_total", "audit_volume_free_bytes", "audit_lost_total"])
def test_names_that_alerts_depend_on(open_log: Open, registry: CollectorRegistry, name: str) -> None:
    """Renaming one silences an alert."""
    assert open_log().wait_ready(30)
    assert f"\n{name}{{".encode() in generate_latest(registry)
