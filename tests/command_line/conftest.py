"""The command as a process of its own, as whichever user."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

Riskbus = Callable[..., subprocess.CompletedProcess[str]]

# Whoever else it shall be must not need to read the interpreter and the checkout: so change after the imports.
_PROGRAM = """
import os, sys
from riskbus.cli import main
uid = int(sys.argv[1])
if uid:
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def riskbus() -> Riskbus:
    """Run the command, optionally with some environment and as some user (0: who runs the tests)."""

    def run(
        *arguments: object, environment: dict[str, str] | None = None, uid: int = 0, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        if uid and os.geteuid():
            pytest.skip("needs root, to become another user")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RISK", "KUBERNETES"))}
        command = [sys.executable, "-c", _PROGRAM, str(uid), *map(str, arguments)]
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 120} | options
        return subprocess.run(command, text=True, check=False, env=inherited | (environment or {}), **given)

    return run
