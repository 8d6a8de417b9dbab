"""What a local cluster could leave or change on the machine that it runs on."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.local import cgroups, cleanup, processes

if TYPE_CHECKING:
    from tests.cluster.local.paths import ClusterDirectory

_SETTINGS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "net/netfilter/nf_conntrack_max",
)
_FOLDERS = ("/etc/cni", "/opt/cni", "/opt/containerd", "/run/containerd", "/run/csi", "/run/kubelet", "/var/lib/cni")
_MOUNTED_BELOW = ("/dev", "/etc", "/opt", "/proc", "/run", "/sys", "/var")
_MORE_FOLDERS = ("/var/lib/containerd", "/var/lib/kubelet", "/var/log/containers", "/var/log/pods")


def snapshot(directory: ClusterDirectory) -> dict[str, set[str]]:
    """What there is now: equal before a cluster of this directory starts and after it ended, if it leaves nothing.

    What other running clusters own does not count.
    """
    others = {init.index for init in processes.running()}
    return {
        "files": {str(path) for path in directory.root.parent.rglob("*")},
        "interfaces": {str(index) for index in cleanup.interfaces() - others},
        "cgroups": _cgroups() - {str(path) for index, path in cgroups.found() if index in others},
        "loop devices": set(cleanup.loop_devices(directory.root)),
        "mounts": _mounts(directory.root.parent),
        "firewall rules": _firewall_rules("iptables-save") | _firewall_rules("ip6tables-save"),
        "kernel settings": {f"{name}={_setting(name)}" for name in _SETTINGS},
        "folders": {name for name in (*_FOLDERS, *_MORE_FOLDERS) if Path(name).exists()},
    }


def processes_of(init: processes.Init) -> set[tuple[int, int]]:
    """The cluster's processes by pid and start time: its first one, and all that descend from it."""
    table = _process_table()
    found, new = set[int](), {init.pid}
    while new:
        found |= new
        new = {pid for pid, (parent, _) in table.items() if parent in new}
    return {(pid, table[pid][1]) for pid in found if pid in table}


def alive(among: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Those of these processes that have not ended."""
    return among & {(pid, start) for pid, (_, start) in _process_table().items()}


def _process_table() -> dict[int, tuple[int, int]]:
    """Parent and start time, in clock ticks, of every process (proc(5), fields 4 and 22 of stat)."""
    table = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            table[int(process.name)] = (int(fields[1]), int(fields[19]))
    return table


def _cgroups() -> set[str]:
    return {str(path) for hierarchy in cgroups.hierarchies() for path in hierarchy.iterdir() if path.is_dir()}


def _mounts(ours: Path) -> set[str]:
    """Those in the system's folders and in the cluster's own: elsewhere, other tests and builds mount and unmount."""
    points = (ours, *map(Path, _MOUNTED_BELOW))
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return {line for line in lines if any(Path(line.split()[1]).is_relative_to(point) for point in points)}


def _firewall_rules(command: str) -> set[str]:
    done = subprocess.run([command], check=True, capture_output=True, text=True)
    return {line for line in done.stdout.splitlines() if line.startswith("-A")}


def _setting(name: str) -> str:
    path = Path("/proc/sys") / name
    return path.read_text().strip() if path.exists() else "absent"
