"""The control groups of clusters' containers: one tree `riskbus-<number>` for each cluster, in every hierarchy."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.cluster.local.node import PREFIX

_NAME = re.compile(rf"{PREFIX}-(\d+)")

# What the kubelet wants to be there in version 2.
_CONTROLLERS = ("cpuset", "cpu", "memory", "pids")


def make(index: int) -> None:
    """Make the empty tree of this cluster, as the kubelet expects to find it."""
    for hierarchy in hierarchies():
        _enable_controllers(hierarchy)
        group = hierarchy / f"{PREFIX}-{index}"
        group.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if (hierarchy / setting).exists():  # version 1: no process may join before they are set
                (group / setting).write_text((hierarchy / setting).read_text())


def found() -> list[tuple[int, Path]]:
    """The trees that there are, with the number of their cluster."""
    tops = (top for hierarchy in hierarchies() for top in hierarchy.iterdir())
    return [(int(match[1]), top) for top in tops if (match := _NAME.fullmatch(top.name))]


def remove(top: Path) -> bool:
    """Remove a tree from its leaves up; False if a process in it is still ending."""
    for folder, _, _ in os.walk(top, topdown=False):
        try:
            Path(folder).rmdir()
        except FileNotFoundError:
            continue  # version 1 mounts one hierarchy under several names
        except OSError:
            return False
    return True


def hierarchies() -> list[Path]:
    """Mount points of version 1 (one for each controller) and version 2."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return [Path(mount[1]) for mount in mounts if mount[2] in ("cgroup", "cgroup2")]


def _enable_controllers(hierarchy: Path) -> None:
    """Let the children of a version 2 hierarchy have the controllers that are free here."""
    if not (hierarchy / "cgroup.controllers").exists():
        return
    available = (hierarchy / "cgroup.controllers").read_text().split()
    enabled = (hierarchy / "cgroup.subtree_control").read_text().split()
    missing = [f"+{name}" for name in _CONTROLLERS if name in available and name not in enabled]
    if missing:
        (hierarchy / "cgroup.subtree_control").write_text(" ".join(missing))
