"""Whoever waits for a long command sees how far it is; whoever collects its output sees nothing of that."""

import os
import pty
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.format.output import emergency_lines
from riskbus.format.record import encode_event, with_number
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings

Riskbus = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    """A log with something in it."""
    settings = AuditSettings.from_environment(path=tmp_path / "audit" / "risk_audit.jsonl")
    with AuditLog(settings=settings, registry=CollectorRegistry()) as log:
        assert log.append(event()).wait_durable(10)
        yield log


def event() -> RiskEvent:
    """Make an event."""
    return RiskEvent(EventType.OVERRIDE, EventPriority.HIGH, "desk")


@pytest.fixture
def output(tmp_path: Path, log: AuditLog) -> Path:
    """Output of the log's container, with an emergency copy."""
    lines = emergency_lines(log.status().incarnation, 1000, with_number(1000, encode_event(event())))
    file = tmp_path / "output"
    file.write_bytes(b"".join(lines))
    return file


@pytest.fixture
def shown(riskbus: Riskbus) -> Iterator[Callable[..., str]]:
    """Run a command that must end well; return what it shows on a terminal."""
    ours, theirs = pty.openpty()

    def run(*arguments: object) -> str:
        ended = riskbus(*arguments, stderr=theirs)
        os.close(theirs)
        found = b""
        with suppress(OSError):  # how Linux says that nobody has the other end
            while piece := os.read(ours, 4096):
                found += piece
        assert ended.returncode == 0
        return found.decode()

    yield run
    os.close(ours)


def test_a_terminal_shows_how_far_verify_is(log: AuditLog, shown: Callable[..., str]) -> None:
    """And keeps nothing of it at the end."""
    log.close()
    text = shown("verify", log.settings.path.parent)
    assert re.fullmatch("\rverifying █+ *100%\r\x1b\\[K", text)


def test_a_terminal_shows_how_far_ingest_is(log: AuditLog, output: Path, shown: Callable[..., str]) -> None:
    """It reads two things: what it is given, and the log."""
    log.close()
    text = shown("ingest", log.settings.path.parent, output)
    bars = [f"\r{label} █+ *100%\r\x1b\\[K" for label in ("reading the output", "reading the log")]
    assert re.fullmatch("".join(bars), text)


def test_nothing_of_it_gets_into_a_file(riskbus: Riskbus, log: AuditLog, output: Path) -> None:
    """Standard error of a job is kept, and read by people who look for errors."""
    log.close()
    for arguments in (["verify", log.settings.path.parent], ["ingest", log.settings.path.parent, output]):
        ended = riskbus(*arguments)
        assert (ended.returncode, ended.stderr) == (0, "")
