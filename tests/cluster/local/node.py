"""The one node of a cluster: its addresses, names and folders. Every cluster of a machine has a number of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cluster.local.paths import ClusterDirectory

NAME = "node-1"
POD_NETWORK = "10.244.0.0/24"
SERVICE_NETWORK = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
API_PORT = 6443
CONTAINERD = "/run/containerd/containerd.sock"

# The kubelet's folder as the cluster sees it. Sockets are in it, whose paths may have 107 bytes: too few for many a
# directory.
KUBELET = "/run/kubelet"

LARGEST_INDEX = 255
PREFIX = "riskbus"

# libcni writes there, and nothing can set it to elsewhere. `down` removes the mount point.
LIBCNI_RESULTS = Path("/var/lib/cni")


@dataclass(frozen=True)
class Binaries:
    """Folders of the cluster's programs."""

    kubernetes: Path
    storage: Path


@dataclass(frozen=True)
class Node:
    """Where a cluster is and which number it has.

    The addresses are from 198.18.0.0/15, which RFC 2544 sets aside and no network routes.
    """

    directory: ClusterDirectory
    index: int
    binaries: Binaries

    @property
    def interface(self) -> str:
        """The machine's end of the only cable into the cluster; its other end is `eth0` in there."""
        return f"{PREFIX}{self.index}"

    @property
    def gateway(self) -> str:
        """The machine's address on that cable."""
        return f"198.18.{self.index}.1"

    @property
    def address(self) -> str:
        """The node's address: API server and kubelet listen there."""
        return f"198.18.{self.index}.2"

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://{self.address}:{API_PORT}"

    @property
    def cgroup(self) -> str:
        """The cgroup of all containers, below the root of each hierarchy."""
        return f"/{PREFIX}-{self.index}"

    @property
    def pki(self) -> Path:
        """Folder of the certificates."""
        return self.directory.state / "pki"

    @property
    def runtime(self) -> Path:
        """Folder of containerd, CNI and the kubelet."""
        return self.directory.state / "node"
