"""Logs whose end is missing, and output that still has it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from riskbus.cli import main
from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.format.output import emergency_lines
from riskbus.format.record import from_line
from riskbus.format.selection import Selection
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings
from riskbus.store.following import Follower
from riskbus.store.history import History
from riskbus.store.stream import list_segments


@dataclass
class Log:
    """A log in a directory, and what became of it.

    Attributes:
        directory: where it is.
        incarnation: whose end is missing.
        lost: the records of that end, by number.
    """

    directory: Path
    incarnation: str
    lost: dict[int, bytes] = field(default_factory=dict)

    @property
    def segment(self) -> Path:
        """The incarnation's last segment."""
        names = [name for name in list_segments(self.directory) if name.incarnation == self.incarnation]
        return self.directory / str(names[-1])

    def copies(self, *seqs: int) -> list[bytes]:
        """Return the emergency lines of these lost records, of all where none is named."""
        wanted = seqs or tuple(self.lost)
        return [line for seq in wanted for line in emergency_lines(self.incarnation, seq, self.lost[seq])]

    def numbers(self) -> list[int]:
        """Return the numbers of the events in the directory, sorted, each as often as it counts."""
        extents = Follower([(self.directory, None)], pytest.fail).skip()
        events = History(extents, Selection(), pytest.fail).all()
        return sorted(event.fields["data"]["number"] for event in events)

    def files(self) -> dict[str, tuple[bytes, int]]:
        """Return name, content and time of every file."""
        files = [file for file in self.directory.iterdir() if file.exists()]  # the link may lead nowhere
        return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


def make_event(number: int, padding: int = 0, **fields: Any) -> RiskEvent:
    """Make an event that can be recognised."""
    data = {"number": number, "padding": "ä" * padding}
    return RiskEvent(EventType.THROTTLE, EventPriority.HIGH, "test", data, **fields)


@pytest.fixture
def open_log(tmp_path: Path, shared_memory: Path) -> Iterator[Callable[..., AuditLog]]:
    """Open a log of one stream in `audit`; it is closed at the end. Its first record is sealed when it comes."""
    opened: list[AuditLog] = []

    def open_one(directory: Path = tmp_path / "audit") -> AuditLog:
        path = directory / "risk_audit.jsonl"
        sealed = Event()
        settings = AuditSettings(path=path, staging_dir=shared_memory, stream="trading/jules")
        opened.append(AuditLog(settings=settings, registry=CollectorRegistry(), on_checkpoint=lambda _: sealed.set()))
        assert sealed.wait(10)
        assert opened[-1].flush(10)
        return opened[-1]

    yield open_one
    for log in opened:
        log.close()


@pytest.fixture
def killed(tmp_path: Path, open_log: Callable[..., AuditLog]) -> Log:
    """A log of events 0 to 9 whose process was killed when the volume had taken 0 to 3; event 8 is long."""
    with open_log() as log:
        for number in range(10):
            log.append(make_event(number, padding=3000 if number == 8 else 0))
    killed = Log(tmp_path / "audit", log.status().incarnation)
    lines = killed.segment.read_bytes().splitlines(keepends=True)
    events = [index for index, line in enumerate(lines) if b"AUDIT_" not in line]
    killed.segment.write_bytes(b"".join(lines[: events[4]]))
    for line in lines[events[4] : events[-1] + 1]:
        record = from_line(line)[0]
        killed.lost[json.loads(record)["seq"]] = record
    return killed


@pytest.fixture
def ingest(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Run the command on these lines of output; returns the exit code and the JSON document."""

    def run(directory: Path, lines: list[bytes], *options: str) -> tuple[int, dict[str, Any]]:
        output = tmp_path / "output"
        output.write_bytes(b"".join(lines))
        capfd.readouterr()
        code = main(["ingest", str(directory), str(output), "--json", *options])
        out, err = capfd.readouterr()
        assert err == ""
        return code, json.loads(out)

    return run
