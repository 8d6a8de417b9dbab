"""A clock that is set, forward and back: by hours, over midnight and by years, while a log is written and between."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from riskbus.store.verification import verify_tree
from tests.faults import reading
from tests.faults.interposer import Interposer

_EVENTS = 100
_HOUR, _DAY = 3600, 86400
_CLOCKS = [0, -_HOUR, -2 * _DAY, 400 * _DAY, _HOUR, -400 * _DAY, -399 * _DAY]
"""Seconds by which the clock differs from the machine's, one after the other."""

_PROGRAM = """
import sys
from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog

log = AuditLog()
for line in sys.stdin:
    numbers = range(*map(int, line.split()))
    receipts = [log.append(RiskEvent(EventType.THROTTLE, EventPriority.LOW, "test", {"number": n})) for n in numbers]
    sys.stdout.write("durable\\n" if receipts[-1].wait_durable(30) else "not durable\\n")  # in one piece
    sys.stdout.flush()
assert log.close(30) == ()
"""


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, list[int]], None]:
    """Let a process append some events, beginning with this number, at each of these clocks."""
    monkeypatch.setenv("RISK_AUDIT_LOG_PATH", str(tmp_path / "audit" / "risk_audit.jsonl"))
    interposer = Interposer(tmp_path, tmp_path / "audit")

    def run(first: int, clocks: list[int]) -> None:
        with subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=interposer.environment,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for number, clock in enumerate(clocks):
                interposer.shift_clock(clock)
                start = first + number * _EVENTS
                process.stdin.write(f"{start} {start + _EVENTS}\n")
                process.stdin.flush()
                assert next(line for line in process.stdout if "durable" in line) == "durable\n"
            process.stdin.close()
            assert process.wait(60) == 0

    return run


def _check(directory: Path) -> None:
    events = reading.events(directory)
    assert sorted(event["data"]["number"] for event in events) == list(range(len(_CLOCKS) * _EVENTS))
    assert len({event["event_id"] for event in events}) == len(events)
    assert verify_tree(directory, [], lambda _: None).worst is None


@pytest.mark.parametrize("writer", ["thread", "process"])
def test_a_clock_that_is_set_while_a_log_is_written_loses_nothing(
    live: Callable[[int, list[int]], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    """Records keep the order in which they came, whatever time it was; none is repeated, and all verifies."""
    monkeypatch.setenv("RISK_AUDIT_WRITER", writer)
    live(0, _CLOCKS)
    times = [event["ts"] for event in reading.events(tmp_path / "audit")]
    assert times != sorted(times)
    assert reading.numbers(tmp_path / "audit") == list(range(len(times)))
    _check(tmp_path / "audit")


def test_a_clock_that_is_set_between_two_processes_loses_nothing(
    live: Callable[[int, list[int]], None], tmp_path: Path
) -> None:
    """An incarnation may seem to be older than the one before it."""
    for number, clock in enumerate(_CLOCKS):
        live(number * _EVENTS, [clock])
    _check(tmp_path / "audit")
