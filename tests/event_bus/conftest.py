"""A real bus on a real log in a temporary directory."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from riskbus import AuditLog, EventPriority, EventType, RiskEvent, RiskEventBus
from tests.conftest import CloseAtEnd
from tests.waiting import within

Make = Callable[..., RiskEvent]


@pytest.fixture
def open_bus(path: Path, registry: CollectorRegistry, close_at_end: CloseAtEnd) -> Callable[..., RiskEventBus]:
    """Open a bus with these settings; it is closed at the end."""

    def open_one(**settings: Any) -> RiskEventBus:
        chosen: dict[str, Any] = {"audit_log_path": path, "registry": registry} | settings
        return close_at_end(RiskEventBus(**chosen))

    return open_one


@pytest.fixture
def audit_log(path: Path, registry: CollectorRegistry) -> Iterator[AuditLog]:
    """A log that several buses of one test can share."""
    with AuditLog(path, registry=registry) as log:
        yield log


@pytest.fixture
def bus(open_bus: Callable[..., RiskEventBus]) -> RiskEventBus:
    """A bus with default settings."""
    return open_bus()


@pytest.fixture
def make() -> Make:
    """Make an event of a priority; the arguments become its data."""

    def make_one(
        priority: EventPriority = EventPriority.NORMAL, kind: str = EventType.LIMIT_BREACH, **data: Any
    ) -> RiskEvent:
        return RiskEvent(kind, priority, source="tests", data=data)

    return make_one


@pytest.fixture
def until() -> Callable[[Callable[[], object]], bool]:
    """Wait until a condition holds; False when it does not within ten seconds."""
    return partial(within, 10)
