"""Real logs, and the command as a process of its own."""

import gzip
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings
from riskbus.store.stream import list_segments
from tests.conftest import CloseAtEnd

Tail = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the logs of a test are."""
    return tmp_path / "audit"


@pytest.fixture
def open_log(directory: Path, close_at_end: CloseAtEnd) -> Callable[..., AuditLog]:
    """Open a log there; it is closed at the end."""

    def open_one(**settings: Any) -> AuditLog:
        given = {"path": directory / "risk_audit.jsonl"} | settings
        return close_at_end(AuditLog(settings=AuditSettings.from_environment(**given), registry=CollectorRegistry()))

    return open_one


@pytest.fixture
def event() -> Callable[..., RiskEvent]:
    """Make an event with a number."""

    def make(number: int, padding: int = 0, **fields: Any) -> RiskEvent:
        given: dict[str, Any] = {
            "event_type": EventType.OVERRIDE,
            "priority": EventPriority.NORMAL,
            "source": "desk",
        } | fields
        data = {"number": number} | ({"padding": "x" * padding} if padding else {})
        return RiskEvent(data=data, **given)

    return make


@pytest.fixture
def tail() -> Tail:
    """Run the command to its end."""

    def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "riskbus", "tail", *map(str, arguments)]
        return subprocess.run(command, text=True, check=False, timeout=60, capture_output=True, **options)

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command; it is ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "riskbus", "tail", *map(str, arguments)]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, text=True, stdout=pipe, stderr=pipe, env=os.environ))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def compress(directory: Path) -> Callable[[int], None]:
    """Replace the segment at this place in the list by its compressed form."""

    def replace(place: int) -> None:
        segment = directory / str(list_segments(directory)[place])
        Path(f"{segment}.gz").write_bytes(gzip.compress(segment.read_bytes()))
        segment.unlink()

    return replace
