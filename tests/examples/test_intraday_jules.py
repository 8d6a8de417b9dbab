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
from typing import Any

import pytest

from riskbus import EventPriority, EventType
from riskbus.sensors import FeedStalenessCalculator, OrderRateThrottle
from riskbus.testing import (
    FakeClock,
    MemoryAuditLog,
    RecordingBus,
    assert_complete,
    assert_published,
    assert_recorded,
    read_events,
    read_records,
)

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
def feed(fake_clock: FakeClock) -> FeedStalenessCalculator:
    """The feed of one symbol."""
    return FeedStalenessCalculator(500, symbols=["SAP"], clock=fake_clock)


@pytest.fixture
def trader(workload: ModuleType, risk_bus: RecordingBus, feed: FeedStalenessCalculator, fake_clock: FakeClock) -> Any:
    """The trader of the program, in the time of `fake_clock`."""
    rate = OrderRateThrottle(workload.ORDERS_PER_SECOND_LIMIT, clock=fake_clock)
    return workload.Trader(risk_bus, feed, rate, seed=1)


def test_a_stalled_feed_pulls_the_kill_switch_and_a_feed_that_is_back_resets_it(
    trader: Any, feed: FeedStalenessCalculator, fake_clock: FakeClock, risk_bus: RecordingBus
) -> None:
    """The one decision the example is about, with the figures an auditor will ask for."""
    trader.step()
    fake_clock.advance(0.75)
    trader.step()
    trader.step()
    feed.on_tick("SAP", fake_clock())
    trader.step()
    killed = assert_published(
        risk_bus, EventType.KILL_SWITCH, max_staleness_ms=750.0, stale_symbols=["SAP"], trader="t.jules"
    )
    reset = assert_published(risk_bus, EventType.KILL_SWITCH_RESET, max_staleness_ms=0.0)
    assert killed.priority is EventPriority.CRITICAL
    assert killed.source == "FeedStalenessCalculator"
    assert killed.metadata["rule_triggered"] == "feed_staleness_limit"
    assert risk_bus.events.index(killed) < risk_bus.events.index(reset)


def test_every_event_says_what_an_auditor_will_ask_for_and_is_recorded(
    trader: Any, fake_clock: FakeClock, risk_bus: RecordingBus, risk_audit_log: MemoryAuditLog
) -> None:
    """The example is what others copy."""
    for _ in range(200):
        fake_clock.advance(0.02)
        trader.step()
    assert EventType.KILL_SWITCH in {event.event_type for event in risk_bus.events}
    for event in risk_bus.events:
        assert_complete(event)
        assert_recorded(risk_audit_log, event)


def test_too_many_orders_are_throttled_once_and_released_once(
    trader: Any, feed: FeedStalenessCalculator, fake_clock: FakeClock, risk_bus: RecordingBus, workload: ModuleType
) -> None:
    """The second rule: an order rate, counted over the last second."""
    while not risk_bus.events_of(EventType.THROTTLE_RELEASED):
        fake_clock.advance(0.02)
        feed.on_tick("SAP", fake_clock())
        trader.step()
    throttled = assert_published(risk_bus, EventType.THROTTLE, limit=workload.ORDERS_PER_SECOND_LIMIT)
    assert throttled.data["observed"] > throttled.data["limit"]
    assert throttled.metadata["rule_triggered"] == "order_rate_limit"


def test_a_flash_crash_throttles_every_order(trader: Any, risk_bus: RecordingBus, workload: ModuleType) -> None:
    """The burst in which the demonstration kills the program: numbered, so that a missing order shows."""
    trader.flash_crash()
    orders = [event.data["order"] for event in risk_bus.events_of(EventType.THROTTLE)]
    assert orders == list(range(workload.FLASH_CRASH_ORDERS))
    assert len({event.data["flash_crash"] for event in risk_bus.events}) == 1


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
