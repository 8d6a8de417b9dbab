"""Find the running clusters of this machine by their first process; no file has to tell the truth for that."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.local.errors import LocalClusterError

_MARK = "tests.cluster.local.init"
_END_LIMIT_SECONDS = 30.0
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Init:
    """The first process of a cluster: its pid here, and what its arguments say."""

    pid: int
    directory: Path
    index: int


def running() -> list[Init]:
    """Every cluster that runs on this machine."""
    found = (_init_of(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [init for init in found if init]


def find(directory: Path) -> Init | None:
    """The cluster of this directory, if it runs."""
    return next((init for init in running() if init.directory == directory), None)


def end(init: Init) -> None:
    """Kill the process and wait until it is gone; the kernel ends all others of its pid namespace first.

    Raises:
        LocalClusterError: it is still there after half a minute.
    """
    os.kill(init.pid, signal.SIGKILL)
    deadline = time.monotonic() + _END_LIMIT_SECONDS
    while _init_of(init.pid):
        if time.monotonic() > deadline:
            raise LocalClusterError(f"process {init.pid} of the cluster does not end; see what it waits for")
        time.sleep(_POLL_SECONDS)


def _init_of(pid: int) -> Init | None:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
        if _MARK not in arguments or not _is_first_of_its_namespace(pid):
            return None
    except OSError:
        return None  # it ended meanwhile
    directory, index, *_binaries = arguments[arguments.index(_MARK) + 1 :]
    return Init(pid, Path(directory), int(index))


def _is_first_of_its_namespace(pid: int) -> bool:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("NSpid:"):
            numbers = line.split()[1:]
            return len(numbers) > 1 and numbers[-1] == "1"
    return False
