"""What every test gets: shared memory of its own, so that no ring of a test or of a program it started stays behind.

And what many ask for: where the log goes, a registry, and that what they open is closed.
"""

import logging
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn, Protocol, TypeVar

import pytest
from prometheus_client import CollectorRegistry

_MEMORY = "/dev/shm"  # noqa: S108 -- rings are for a memory file system
_VARIABLE = "RISK_AUDIT_STAGING_DIR"


class Closable(Protocol):
    """A log or a bus."""

    def close(self, timeout: float) -> object:
        """End it."""


_Opened = TypeVar("_Opened", bound=Closable)


class CloseAtEnd(Protocol):
    """Has what it is given closed at the end of the test, and returns it."""

    def __call__(self, opened: _Opened, /) -> _Opened:
        """Take note of what was opened."""


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A shell that starts the tests in the background has them ignore SIGINT, and so whatever they start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def shared_memory_of_all() -> Iterator[Path]:
    """A directory on a memory file system, also for logs that outlive one test; removed at the end."""
    with TemporaryDirectory(prefix="riskbus-tests-", dir=_MEMORY) as name, pytest.MonkeyPatch.context() as patch:
        patch.setenv(_VARIABLE, name)
        yield Path(name)


@pytest.fixture(autouse=True)
def shared_memory(shared_memory_of_all: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory there for this test's logs and those of its child processes, empty, and removed afterwards."""
    with TemporaryDirectory(dir=shared_memory_of_all) as name:
        monkeypatch.setenv(_VARIABLE, name)
        yield Path(name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log goes."""
    return tmp_path / "audit" / "risk_audit.jsonl"


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry of the test's own."""
    return CollectorRegistry()


@pytest.fixture
def close_at_end() -> Iterator[CloseAtEnd]:
    """Close logs and buses when the test is over, the newest first."""
    with ExitStack() as stack:

        def note(opened: _Opened, /) -> _Opened:
            stack.callback(opened.close, timeout=1)
            return opened

        yield note


class _BrokenSink(logging.Handler):
    """A log handler whose disk is full, and which says so."""

    def emit(self, record: logging.LogRecord) -> NoReturn:
        """Raise."""
        raise OSError(f"the disk of the log {record.name} is full")


@pytest.fixture
def broken_log_sinks() -> Iterator[None]:
    """Have every line that riskbus logs raise."""
    logger, sink = logging.getLogger("riskbus"), _BrokenSink()
    logger.addHandler(sink)
    yield
    logger.removeHandler(sink)
