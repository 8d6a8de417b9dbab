"""Small staging rings, and what stands on them."""

from pathlib import Path

import pytest

from riskbus.runtime.feed import LocalFeed, LockBell
from riskbus.runtime.progress import Progress
from riskbus.runtime.staging import Staging
from riskbus.settings import AuditSettings
from riskbus.store.ring import Ring
from riskbus.store.ring_files import create_ring, find_abandoned

STREAM = (1, 2)
SLOTS = 8


def record_of(seq: int, size: int = 40) -> bytes:
    """Return a body that can be recognised."""
    return b'{"seq":%d,' % seq + b"x" * size + b"}"


def make_ring(directory: Path, incarnation: str = "a" * 32) -> Ring:
    """Make a ring in shared memory."""
    ring = create_ring(directory, incarnation, "/log", SLOTS)
    assert ring.path is not None
    ring.stream = STREAM
    return ring


def staging_on(ring: Ring) -> Staging:
    """Return a staging that must not be full."""
    return Staging(ring, lambda: pytest.fail("there is room"), overflow=64 << 20)


def feed_of(staging: Staging) -> LocalFeed:
    """Return what a writer beside the publishers reads."""
    bell = LockBell()
    return LocalFeed(staging, bell, Progress(staging.ring, bell.ring), AuditSettings)


def find_rings(directory: Path) -> list[Ring]:
    """Take over what ended processes left."""
    return find_abandoned(directory, STREAM, "/log")
