"""What the machine must have before a cluster can start."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.cluster.local.errors import LocalClusterError

# Program or file: the Debian package that has it.
_PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "iptables": "iptables",
    "ip": "iproute2",
    "mkfs.ext4": "e2fsprogs",
    "resize2fs": "e2fsprogs",
    "mount": "mount",
    "unshare": "util-linux",
    "nsenter": "util-linux",
}


def check_requirements(packages: dict[str, str] = _PACKAGES) -> None:
    """Say what is missing in one sentence.

    Raises:
        LocalClusterError: the user is not root, or a program is missing.
    """
    if os.geteuid() != 0:
        raise LocalClusterError(
            "the local cluster makes namespaces and mounts: run this as root, or set KUBECONFIG to use another"
        )
    missing = sorted({package for need, package in packages.items() if not _is_there(need)})
    if missing:
        raise LocalClusterError(f"missing here: run `apt-get install --no-install-recommends {' '.join(missing)}`")


def _is_there(need: str) -> bool:
    if need.startswith("/"):
        return Path(need).exists()
    return shutil.which(need, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None
