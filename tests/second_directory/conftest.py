"""A log with a second directory to go to, and ways to look into both."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings
from riskbus.testing import read_records
from tests.conftest import CloseAtEnd


@dataclass(frozen=True)
class Directories:
    """Where a log writes.

    Attributes:
        first: the log's directory. A file in its place makes it refuse.
        second: the one that stands in.
    """

    first: Path
    second: Path

    @property
    def path(self) -> Path:
        """The path of the log."""
        return self.first / "risk_audit.jsonl"

    def break_first(self) -> None:
        """Let nothing be created in the first directory: not even root makes a file in a file."""
        if self.first.exists():
            self.first.rename(self.first.with_name("hidden"))
        self.first.touch()

    def mend_first(self) -> None:
        """Put the first directory back."""
        self.first.unlink()
        hidden = self.first.with_name("hidden")
        if hidden.exists():
            hidden.rename(self.first)

    def numbers(self, directory: Path) -> list[int]:
        """Return the numbers of the events in one of them, in the order in which they stand."""
        if not directory.is_dir():
            return []
        records = read_records(directory / "risk_audit.jsonl")
        return [record["data"]["number"] for record in records if record["event_type"] == "THROTTLE"]

    def control(self, directory: Path, kind: str) -> list[dict[str, Any]]:
        """Return what the log's own records of this kind say."""
        return [record["data"] for record in read_records(directory / "any") if record["event_type"] == kind]


@pytest.fixture
def directories(tmp_path: Path) -> Directories:
    """Two directories."""
    return Directories(tmp_path / "first", tmp_path / "second")


@pytest.fixture
def open_log(
    shared_memory: Path, directories: Directories, registry: CollectorRegistry, close_at_end: CloseAtEnd
) -> Callable[..., AuditLog]:
    """Open a log on both; it is closed at the end."""

    def open_one(**settings: Any) -> AuditLog:
        given = {"path": directories.path, "second_dir": directories.second, "staging_dir": shared_memory} | settings
        return close_at_end(AuditLog(settings=AuditSettings(**given), registry=registry))

    return open_one


@pytest.fixture
def make_event() -> Callable[[int], RiskEvent]:
    """Make an event that can be recognised by its number."""
    return lambda number: RiskEvent(EventType.THROTTLE, EventPriority.HIGH, "test", {"number": number})
