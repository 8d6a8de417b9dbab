"""A real log in a temporary directory, and ways to read back what it wrote."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.format.names import parse_segment_name
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings
from riskbus.store.verification import VolumeReport, verify_tree
from tests.conftest import CloseAtEnd

Records = list[dict[str, Any]]


@pytest.fixture(params=["thread", "process"])
def writer(request: pytest.FixtureRequest) -> str:
    """What the writer runs in: every promise holds for both."""
    return str(request.param)


@pytest.fixture
def open_log(path: Path, registry: CollectorRegistry, writer: str, close_at_end: CloseAtEnd) -> Callable[..., AuditLog]:
    """Open a log with these settings; it is closed at the end."""

    def open_one(**settings: Any) -> AuditLog:
        hook = settings.pop("on_checkpoint", None)
        where = settings.pop("path", path)
        given = {"path": where, "writer": writer} | settings
        return close_at_end(
            AuditLog(settings=AuditSettings.from_environment(**given), registry=registry, on_checkpoint=hook)
        )

    return open_one


@pytest.fixture
def event() -> Callable[..., RiskEvent]:
    """Make an event; the arguments become its data."""

    def make(priority: EventPriority = EventPriority.NORMAL, **data: Any) -> RiskEvent:
        return RiskEvent(EventType.LIMIT_BREACH, priority, "PositionLimits", data=data, metadata={"desk": "intraday"})

    return make


@pytest.fixture
def read(path: Path) -> Callable[[], Records]:
    """Read every record of every segment, in the order of the segments' names."""

    def records() -> Records:
        segments = sorted(file for file in path.parent.iterdir() if parse_segment_name(file.name))
        return [json.loads(line) for file in segments for line in file.read_bytes().splitlines()]

    return records


@pytest.fixture
def events(read: Callable[[], Records]) -> Callable[[], Records]:
    """Read every record that is not the log's own."""

    def records() -> Records:
        return [record for record in read() if not record["event_type"].startswith("AUDIT_")]

    return records


@pytest.fixture
def verify(path: Path) -> Callable[[], VolumeReport]:
    """Verify the directory."""
    return lambda: verify_tree(path.parent, [], lambda _: None)
