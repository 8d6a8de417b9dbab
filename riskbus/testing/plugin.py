"""Fixtures for pytest, which finds them by itself where riskbus is installed.

This module alone needs pytest.
"""

from collections.abc import Iterator

import pytest

from riskbus.testing.bus import RecordingBus
from riskbus.testing.clock import FakeClock
from riskbus.testing.log import MemoryAuditLog


@pytest.fixture
def risk_audit_log() -> Iterator[MemoryAuditLog]:
    """A real audit log in memory, empty and of the test's own."""
    with MemoryAuditLog() as log:
        yield log


@pytest.fixture
def risk_bus(risk_audit_log: MemoryAuditLog) -> Iterator[RecordingBus]:
    """A real bus on `risk_audit_log` that remembers what was published."""
    with RecordingBus(audit_log=risk_audit_log) as bus:
        yield bus


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that the test moves by hand."""
    return FakeClock()
