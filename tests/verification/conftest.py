"""A small finished log, made by the real writer, that each test may spoil."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.format.anchors import Anchor
from riskbus.format.names import SegmentName
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings
from riskbus.store.stream import list_segments
from riskbus.store.verification import VolumeReport, verify_tree

STREAM = "trading/intraday-jules/risk_audit"


def write_log(path: Path, events: int = 5) -> AuditLog:
    """Write one incarnation with so many events, and end it in order."""
    settings = AuditSettings.from_environment(path=path, stream=STREAM)
    log = AuditLog(settings=settings, registry=CollectorRegistry())
    log.wait_ready(5)
    for number in range(events):
        data = {"number": number, "limit": 1000 * number}
        log.append(RiskEvent(EventType.LIMIT_BREACH, EventPriority.HIGH, "PositionLimits", data))
    assert log.close() == ()
    return log


@pytest.fixture
def write() -> Callable[..., AuditLog]:
    """Write one incarnation."""
    return write_log


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with one finished incarnation in one segment. Do not change it."""
    directory = tmp_path_factory.mktemp("finished")
    write_log(directory / "risk_audit.jsonl")
    return directory


@pytest.fixture
def directory(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished log that the test may spoil."""
    return Path(shutil.copytree(finished, tmp_path / "audit", symlinks=True))


@pytest.fixture
def name(directory: Path) -> SegmentName:
    """The name of its segment."""
    (name,) = list_segments(directory)
    return name


@pytest.fixture
def segment(directory: Path, name: SegmentName) -> Path:
    """Its segment."""
    return directory / str(name)


@pytest.fixture
def verify(directory: Path) -> Callable[..., VolumeReport]:
    """Verify the copy, with these anchors."""

    def run(*anchors: Anchor) -> VolumeReport:
        return verify_tree(directory, list(anchors), lambda _: None)

    return run


@pytest.fixture
def kinds(verify: Callable[..., VolumeReport]) -> Callable[..., set[str]]:
    """Verify the copy and return the kinds of what was found."""
    return lambda *anchors: {finding.kind for finding in verify(*anchors).findings}
