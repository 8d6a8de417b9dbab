"""What a verifier needs does not grow with the log: auditors' machines are small, and logs of years are not."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from riskbus.store.verification import verify_tree
from tests.agreement.scribe import Scribe
from tools import verify_audit

VERIFIERS: dict[str, Callable[[Path], object]] = {
    "riskbus verify": lambda directory: verify_tree(directory, [], lambda _: None),
    "verify_audit.py": lambda directory: verify_audit.verify([str(directory)], []),
}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of about 12 MB."""
    directory = tmp_path_factory.mktemp("large")
    scribe = Scribe().open().checkpoint()
    for _ in range(16):
        scribe.events(2500).checkpoint()
    (directory / scribe.name(0, 0)).write_bytes(b"".join(scribe.lines))
    return directory


@pytest.mark.parametrize("verify", VERIFIERS.values(), ids=VERIFIERS.keys())
def test_memory_is_a_part_of_the_log(verify: Callable[[Path], object], log: Path) -> None:
    """A piece of lines and what becomes of it, and the leaves since the last checkpoint."""
    tracemalloc.start()
    try:
        verify(log)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    size = sum(path.stat().st_size for path in log.iterdir())
    assert size > 10_000_000
    assert peak < size // 2
