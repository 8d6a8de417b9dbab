"""What happens while the volume refuses, and after: nothing is lost, nothing stops, everyone is told."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskbus.events import RiskEvent
from riskbus.runtime import AuditLog
from riskbus.status import State
from riskbus.store.verification import VolumeReport

Open = Callable[..., AuditLog]
Event = Callable[..., RiskEvent]
Read = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def unavailable(path: Path) -> Path:
    """A file stands where the log's directory should be."""
    path.parent.touch()
    return path.parent


@pytest.mark.usefixtures("unavailable")
def test_records_go_to_the_emergency_stream(open_log: Open, event: Event, capfd: pytest.CaptureFixture[str]) -> None:
    """The container's output is the last resort that always exists."""
    log = open_log()
    receipts = [log.append(event(number=number)) for number in range(3)]
    while log.status().emergency_events < 5:
        assert not receipts[-1].wait_durable(0.05)
    status = log.status()
    log.close(timeout=0)
    lines = [line for line in capfd.readouterr().out.splitlines() if line.startswith("AUDIT_EMERGENCY ")]
    copies = [json.loads(line.removeprefix("AUDIT_EMERGENCY ")) for line in lines]
    assert [copy["seq"] for copy in copies] == [0, 1, 2, 3, 4]
    assert {copy["incarnation"] for copy in copies} == {status.incarnation}
    records = [json.loads(copy["record"]) for copy in copies]
    assert [record["data"] for record in records[2:]] == [{"number": 0}, {"number": 1}, {"number": 2}]
    assert status.state is State.FAILING
    assert status.durable_seq == -1
    assert status.write_failures > 0
    assert status.emergency_events == 5


def test_everything_is_written_in_order_when_the_volume_comes_back(
    open_log: Open, event: Event, read: Read, unavailable: Path, verify: Callable[[], VolumeReport]
) -> None:
    """An outage leaves no gap, only a record that says it happened."""
    log = open_log()
    receipts = [log.append(event(number=number)) for number in range(100)]
    while log.status().state is not State.FAILING:
        assert not receipts[-1].wait_durable(0.05)
    unavailable.unlink()
    assert receipts[-1].wait_durable(30)
    log.close()
    numbers = [record["data"]["number"] for record in read() if record["event_type"] == "LIMIT_BREACH"]
    assert numbers == list(range(100))
    (recovered,) = (record["data"] for record in read() if record["event_type"] == "AUDIT_RECOVERED")
    assert recovered["first_seq"] == 0
    assert verify().worst is None


@pytest.mark.usefixtures("unavailable")
def test_a_reader_of_standard_output_that_stopped_stops_nothing(path: Path) -> None:
    """Container runtimes do stop reading; neither publishing nor the end of the process may wait for them."""
    program = f"""
from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog
log = AuditLog({str(path)!r})
for number in range(20_000):
    log.append(RiskEvent(EventType.THROTTLE, EventPriority.LOW, "test", {{"number": number}}))
assert log.append(RiskEvent(EventType.KILL_SWITCH, EventPriority.CRITICAL, "test")).seq > 20_000
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.wait(timeout=60) == 0  # nobody has read a byte so far
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"AUDIT_EMERGENCY ")


@pytest.mark.usefixtures("unavailable")
def test_the_risk_is_logged(open_log: Open, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever reads the workload's log must see it."""
    with caplog.at_level(logging.INFO, "riskbus.audit"):
        log = open_log()
        while not any("AUDIT LOG RISK" in record.getMessage() for record in caplog.records):
            log.flush(0.01)
    assert not any("Audit log file initialized" in record.getMessage() for record in caplog.records)
