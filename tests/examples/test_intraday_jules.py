"""The example does what it says: it measures, decides, records, and ends in order."""

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from riskbus import EventPriority, EventType
from riskbus.sensors import FeedStalenessCalculator
from riskbus.testing import FakeClock, RecordingBus, read_events, read_records

PROGRAM = Path(__file__).parents[2] / "examples" / "intraday-jules" / "workload.py"

OPENED = "Audit log file initialized|AUDIT LOG RISK"
"""The log's first line: the second where the tests run on a container's own disk, whose verdict is Invalid."""


@pytest.fixture(scope="module")
def workload() -> ModuleType:
    """The program as a module."""
    spec = importlib.util.spec_from_file_location("workload", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[RecordingBus]:
    """A bus that remembers."""
    with RecordingBus(tmp_path / "audit" / "risk_audit.jsonl") as recording:
        yield recording


def test_a_stalled_feed_pulls_the_kill_switch_and_a_feed_that_is_back_resets_it(
    workload: ModuleType, bus: RecordingBus
) -> None:
    """The one decision the example is about, with the figures an auditor will ask for."""
    clock = FakeClock()
    staleness = FeedStalenessCalculator(500, symbols=["SAP"], clock=clock)
    trader = workload.Trader(bus, staleness, seed=1)
    trader.step()
    clock.advance(0.75)
    trader.step()
    trader.step()
    staleness.on_tick("SAP", clock())
    trader.step()
    (killed,) = bus.events_of(EventType.KILL_SWITCH)
    (reset,) = bus.events_of(EventType.KILL_SWITCH_RESET)
    assert killed.priority is EventPriority.CRITICAL
    assert killed.source == "FeedStalenessCalculator"
    assert (killed.data["max_staleness_ms"], killed.data["stale_symbols"]) == (750.0, ["SAP"])
    assert killed.metadata["rule_triggered"] == "feed_staleness_limit"
    assert reset.data["max_staleness_ms"] == 0.0
    assert bus.events.index(killed) < bus.events.index(reset)


def test_too_many_orders_are_throttled(workload: ModuleType, bus: RecordingBus) -> None:
    """The second rule: an order rate, counted over the last second."""
    clock = FakeClock()
    trader = workload.Trader(bus, FeedStalenessCalculator(500, symbols=["SAP"], clock=clock), seed=1)
    deadline = time.monotonic() + 20
    while not bus.events_of(EventType.THROTTLE) and time.monotonic() < deadline:
        trader.step()
    (throttled,) = bus.events_of(EventType.THROTTLE)
    assert throttled.data["orders_per_second"] > throttled.data["limit"]
    assert throttled.metadata["rule_triggered"] == "order_rate_limit"


def test_a_flash_crash_throttles_every_order(workload: ModuleType, bus: RecordingBus) -> None:
    """The burst in which the demonstration kills the program: numbered, so that a missing order shows."""
    workload.Trader(bus, FeedStalenessCalculator(500, symbols=["SAP"]), seed=1).flash_crash()
    orders = [event.data["order"] for event in bus.events_of(EventType.THROTTLE)]
    assert orders == list(range(workload.FLASH_CRASH_ORDERS))
    assert len({event.data["flash_crash"] for event in bus.events}) == 1


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path, int]]:
    """The program, running, with its log and the port of its metrics."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = tmp_path / "audit" / "risk_audit.jsonl"
    environ = os.environ | {"RISK_AUDIT_LOG_PATH": str(path), "METRICS_PORT": str(port)}
    with subprocess.Popen([sys.executable, PROGRAM], env=environ, stderr=subprocess.PIPE, text=True) as process:
        yield process, path, port
        process.kill()


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    """Read the program's log until a line matches, and return that line; the empty string when none does in time."""
    assert process.stderr is not None
    overdue = threading.Timer(30, process.kill)  # ends the log, and so the loop
    overdue.start()
    try:
        return next((line for line in process.stderr if re.search(pattern, line)), "")
    finally:
        overdue.cancel()


def scrape_until(port: int, pattern: str) -> str:
    """Scrape the program's metrics until a line matches, and return them; the empty string when none does in time."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            metrics: str = answer.read().decode()
        if re.search(pattern, metrics):
            return metrics
    return ""


def test_the_program_speaks_of_its_log_shows_metrics_and_ends_in_order(
    running: tuple[subprocess.Popen[str], Path, int],
) -> None:
    """What the deployment checklist greps for, what Prometheus scrapes, and what SIGTERM leaves behind."""
    process, path, port = running
    assert read_until(process, OPENED)
    metrics = scrape_until(port, 'riskbus_published_total{priority="LOW"} [1-9]')
    for name in ("audit_events_total", "audit_volume_free_bytes", "riskbus_published_total"):
        assert f"\n{name}{{" in metrics
    process.send_signal(signal.SIGTERM)
    assert read_until(process, "ended")
    assert process.wait(20) == 0
    assert read_events(path)[0]["event_type"] == "HEARTBEAT"
    assert [record["event_type"] for record in read_records(path)][-2:] == ["AUDIT_CLOSE", "AUDIT_CHECKPOINT"]


def test_a_program_that_is_killed_goes_on_in_a_second_incarnation(
    running: tuple[subprocess.Popen[str], Path, int],
) -> None:
    """The demonstration's kill -9, without a cluster: what was there stays, and the log goes on beside it."""
    process, path, port = running
    assert read_until(process, OPENED)
    assert scrape_until(port, r"audit_durable_seq\{.*\} [1-9]")
    process.kill()
    process.wait(20)
    before = read_records(path)
    environ = os.environ | {"RISK_AUDIT_LOG_PATH": str(path), "METRICS_PORT": str(port)}
    with subprocess.Popen([sys.executable, PROGRAM], env=environ, stderr=subprocess.PIPE, text=True) as second:
        assert read_until(second, OPENED)
        second.send_signal(signal.SIGTERM)
        assert second.wait(20) == 0
    after = read_records(path)
    assert [record["hash"] for record in after[: len(before)]] == [record["hash"] for record in before]
    assert [record["event_type"] for record in after].count("AUDIT_OPEN") == 2
