"""A real log of several segments, and ways to look at it."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings
from riskbus.store.stream import list_segments
from riskbus.store.verification import VolumeReport, verify_tree
from tests.conftest import CloseAtEnd


@pytest.fixture
def open_log(path: Path, close_at_end: CloseAtEnd) -> Callable[..., AuditLog]:
    """Open a log with these settings; it is closed at the end."""

    def open_one(**settings: Any) -> AuditLog:
        given: dict[str, Any] = {"path": path, "rotation_max_size": 64 << 10} | settings
        return close_at_end(AuditLog(settings=AuditSettings.from_environment(**given), registry=CollectorRegistry()))

    return open_one


def event(number: int) -> RiskEvent:
    """Make an event that can be recognised by its number."""
    return RiskEvent(EventType.THROTTLE, EventPriority.LOW, "test", {"number": number, "padding": "x" * 100})


@pytest.fixture
def write(open_log: Callable[..., AuditLog]) -> Callable[..., None]:
    """Write one incarnation with so many events, in segments of 64 KiB, and end it."""

    def run(events: int = 600, **settings: Any) -> None:
        log = open_log(**settings)
        for number in range(events):
            log.append(event(number))
            if number % 50 == 0:
                assert log.flush(10)
        assert log.close(10) == ()

    return run


def gzip_members(data: bytes, size: int = 10_000) -> bytes:
    """Compress in members of about so many bytes each, as gzip and zlib themselves write them."""
    return b"".join(gzip.compress(data[start : start + size], mtime=0) for start in range(0, len(data), size))


@pytest.fixture
def compress_by_hand() -> Callable[[Path], Path]:
    """Put a compressed segment in the place of a plain one; returns its path."""

    def run(segment: Path) -> Path:
        compressed = segment.with_name(f"{segment.name}.gz")
        compressed.write_bytes(gzip_members(segment.read_bytes()))
        segment.unlink()
        return compressed

    return run


@pytest.fixture
def segments(path: Path) -> Callable[[], list[Path]]:
    """Return the segments as they would be called uncompressed, in order."""
    return lambda: [path.parent / str(name) for name in list_segments(path.parent)]


@pytest.fixture
def verify(path: Path) -> Callable[[], VolumeReport]:
    """Verify the directory."""
    return lambda: verify_tree(path.parent, [], lambda _: None)
