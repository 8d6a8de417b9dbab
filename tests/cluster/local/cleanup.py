"""What a cluster that died in any way can leave on the machine, and its removal."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.local import processes
from tests.cluster.local.errors import LocalClusterError
from tests.cluster.local.node import LIBCNI_RESULTS, PREFIX

if TYPE_CHECKING:
    from tests.cluster.local.paths import ClusterDirectory

_LIMIT_SECONDS = 30.0
_POLL_SECONDS = 0.05
_CGROUP = re.compile(rf"{PREFIX}-(\d+)")


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
    alive = processes.running()
    deadline = time.monotonic() + _LIMIT_SECONDS
    while left := _ownerless({init.index for init in alive}):
        if time.monotonic() > deadline:
            raise LocalClusterError(f"could not remove {', '.join(left)}; see which process still uses it")
        time.sleep(_POLL_SECONDS)
    if not alive:
        with contextlib.suppress(FileNotFoundError):
            LIBCNI_RESULTS.rmdir()


def interfaces() -> set[int]:
    """The numbers of the clusters that have an interface on this machine."""
    names = (path.name for path in Path("/sys/class/net").iterdir())
    return {int(found[1]) for name in names if (found := re.fullmatch(rf"{PREFIX}(\d+)", name))}


def _ownerless(alive: set[int]) -> list[str]:
    """Remove ownerless cgroups; return these that could not be removed yet, and ownerless interfaces.

    An interface goes when its network namespace does, a moment after the last process.
    """
    left = [f"the interface {PREFIX}{index}" for index in interfaces() - alive]
    for hierarchy in _cgroup_hierarchies():
        for top in hierarchy.iterdir():
            found = _CGROUP.fullmatch(top.name)
            if found and int(found[1]) not in alive and not _remove_cgroup(top):
                left.append(f"the cgroup {top}")
    return left


def _cgroup_hierarchies() -> list[Path]:
    """Mount points of cgroup version 1 (one for each controller) and 2."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return [Path(mount[1]) for mount in mounts if mount[2] in ("cgroup", "cgroup2")]


def _remove_cgroup(top: Path) -> bool:
    for folder, _, _ in os.walk(top, topdown=False):
        try:
            Path(folder).rmdir()
        except FileNotFoundError:
            continue  # version 1 mounts one hierarchy under several names
        except OSError:
            return False  # its last process is still ending
    return True


def _remove_files(directory: ClusterDirectory) -> None:
    directory.kubeconfig.unlink(missing_ok=True)
    for folder in (directory.bin, directory.state):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)
    with contextlib.suppress(OSError):  # it does not exist, or other things are in it
        directory.root.rmdir()
