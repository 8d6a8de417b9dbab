"""A Python without its global interpreter lock is refused before anything can go wrong, with what to do.

Debian has no such Python; `make test-pythons` builds one and runs these tests with it.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def free_threaded() -> str:
    """A free-threaded Python."""
    found = os.environ.get("RISKBUS_FREE_THREADED_PYTHON") or shutil.which("python3.14t") or shutil.which("python3.13t")
    if not found:
        pytest.skip("no free-threaded Python here; `make test-pythons` has one")
    return found


def run(python: str, program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program where riskbus can be imported, but none of what it depends on."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)} | environment
    return subprocess.run(
        [python, "-S", "-c", program], env=environ, check=False, capture_output=True, text=True, timeout=60
    )


def test_it_is_refused_by_the_first_import(free_threaded: str) -> None:
    """Not by a record that is missing later."""
    done = run(free_threaded, "import riskbus")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: riskbus needs Python's global interpreter lock")
    assert "PYTHON_GIL=1 or -X gil=1" in last


def test_the_same_python_is_accepted_when_its_lock_is_switched_on(free_threaded: str) -> None:
    """What the message says to do helps."""
    check = f"import runpy; runpy.run_path({str(REPOSITORY / 'riskbus' / 'interpreter.py')!r}); print('accepted')"
    assert run(free_threaded, check, PYTHON_GIL="1").stdout == "accepted\n"
    assert run(free_threaded, check).returncode == 1
