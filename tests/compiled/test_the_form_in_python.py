"""What the tests of the hottest paths promise holds as well where they are not compiled."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from riskbus import native

REPOSITORY = Path(__file__).parents[2]
TESTS = [
    "tests/audit_log/test_appending.py",
    "tests/audit_log/test_batches.py",
    "tests/audit_log/test_staging_ring.py",
    "tests/audit_log/test_staging_states.py",
    "tests/audit_log/test_writers.py",
    "tests/event_bus/test_interleavings.py",
    "tests/event_bus/test_isolation.py",
    "tests/event_bus/test_model.py",
    "tests/event_bus/test_objectives.py",
    "tests/event_bus/test_publishing.py",
    "tests/event_bus/test_queues.py",
    "tests/event_bus/test_waiting.py",
    "tests/record_format",
    "tests/risk_events",
]


@pytest.mark.skipif(native.hot is None, reason="riskbus is not compiled here, so that is what all tests test")
@pytest.mark.timeout(600)
def test_the_same_tests_pass_where_nothing_is_compiled() -> None:
    """It is the reference, what runs where no compiler was, and what takes over in every unusual case."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
    environ = os.environ | {native.VARIABLE: "0"}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environ, check=False, capture_output=True, text=True, timeout=590
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
