"""What every test gets: shared memory of its own, so that no ring of a test or of a program it started stays behind."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

_MEMORY = "/dev/shm"  # noqa: S108 -- rings are for a memory file system
_VARIABLE = "RISK_AUDIT_STAGING_DIR"


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
