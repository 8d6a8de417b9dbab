"""What a cluster that died in any way can leave on the machine, and its removal."""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.local import cgroups, processes
from tests.cluster.local.errors import LocalClusterError
from tests.cluster.local.node import LIBCNI_RESULTS, PREFIX
from tests.cluster.local.paths import DEFAULT_DIRECTORY

if TYPE_CHECKING:
    from tests.cluster.local.paths import ClusterDirectory

_LIMIT_SECONDS = 30.0
_POLL_SECONDS = 0.05
_INTERFACE = re.compile(rf"{PREFIX}(\d+)")


def sweep(directory: ClusterDirectory) -> None:
    """End the cluster of this directory, if it runs, and remove its files and everything that no cluster owns.

    Raises:
        LocalClusterError: something stays; the text says what.
    """
    stop(directory)
    _remove_files(directory)


def stop(directory: ClusterDirectory) -> None:
    """End the cluster of this directory, if it runs, and keep only its files: the logs say why it failed.

    Raises:
        LocalClusterError: something stays; the text says what.
    """
    if init := processes.find(directory.root):
        processes.end(init)
    deadline = time.monotonic() + _LIMIT_SECONDS
    # The kernel takes namespaces apart, and with them interfaces and mounts, a moment after their last process.
    while left := [*_ownerless_interfaces(), *_ownerless_cgroups(), *loop_devices(directory.state)]:
        if time.monotonic() > deadline:
            raise LocalClusterError(f"could not remove {', '.join(left)}; see which process still uses it")
        time.sleep(_POLL_SECONDS)
    if not processes.running():
        with contextlib.suppress(OSError):  # it is not there, or another network plugin's results are in it
            LIBCNI_RESULTS.rmdir()


def interfaces() -> set[int]:
    """The numbers of the clusters whose cable has its end on this machine."""
    names = (path.name for path in Path("/sys/class/net").iterdir())
    return {int(found[1]) for name in names if (found := _INTERFACE.fullmatch(name))}


def loop_devices(path: Path) -> list[str]:
    """The loop devices of this file, or of files in this folder."""
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):  # it was released meanwhile
            if Path(backing.read_text().strip()).is_relative_to(path):
                found.append(f"/dev/{backing.parts[3]}")
    return found


def _ownerless_interfaces() -> list[str]:
    found = interfaces()  # before the clusters: an interface comes after its cluster's first process
    alive = {init.index for init in processes.running()}
    return [f"{PREFIX}{index}" for index in found - alive]


def _ownerless_cgroups() -> list[str]:
    """Remove them; return those that could not be removed yet."""
    found = cgroups.found()
    alive = {init.index for init in processes.running()}
    return [str(top) for index, top in found if index not in alive and not cgroups.remove(top)]


def _remove_files(directory: ClusterDirectory) -> None:
    directory.kubeconfig.unlink(missing_ok=True)
    for folder in (directory.bin, directory.state):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)
    for folder in (directory.root, DEFAULT_DIRECTORY):
        with contextlib.suppress(OSError):  # it does not exist, or other things are in it
            folder.rmdir()
