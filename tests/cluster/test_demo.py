"""`make demo` and `make demo-down`, as a user runs them: shown, shown again on what is there, and gone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cluster.conftest import require_root
from tests.cluster.local import cleanup
from tests.cluster.local.paths import REPOSITORY, ClusterDirectory
from tests.cluster.machine import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LIMIT_SECONDS = 900
_LEFT_OUT = shutil.ignore_patterns(".*cache", ".git", ".venv*", ".cluster", ".hypothesis", "__pycache__", "build")


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """The project in a directory of its own: a cluster is its checkout's, and the user may have one already."""
    require_root()
    copy = tmp_path / "checkout"
    shutil.copytree(REPOSITORY, copy, ignore=_LEFT_OUT)
    yield copy
    cleanup.sweep(ClusterDirectory(copy / ".cluster"))


def demo(checkout: Path, what: str) -> str:
    """Run the demonstration or its end, and return what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    done = subprocess.run(
        [sys.executable, "-m", "examples.demo", what],
        check=False,
        cwd=checkout,
        env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.timeout(_LIMIT_SECONDS, func_only=True)
def test_the_demo_shows_everything_twice_and_its_end_leaves_nothing(checkout: Path) -> None:
    """The first thing that anybody sees of the project; every step of it fails loudly if what it shows is not so."""
    before = snapshot(ClusterDirectory(checkout / ".cluster"))

    first, second = demo(checkout, "up"), demo(checkout, "up")
    demo(checkout, "down")

    for shown in (first, second):
        assert "✗" not in shown
        assert len(re.findall("^✓ ", shown, re.MULTILINE)) == len(re.findall("^✓ ", first, re.MULTILINE)) > 12
    assert "running already" in second
    assert snapshot(ClusterDirectory(checkout / ".cluster")) == before
