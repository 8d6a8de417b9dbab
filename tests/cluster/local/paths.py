"""Where things are: in the cluster's directory, and in the cache outside the tree."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).resolve().parent
REPOSITORY = PACKAGE.parents[2]
DEFAULT_DIRECTORY = REPOSITORY / ".cluster"


@dataclass(frozen=True)
class ClusterDirectory:
    """The directory of one cluster; everything that `up` writes is one of these entries."""

    root: Path

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.root / "kubeconfig"

    @property
    def bin(self) -> Path:
        """Folder of `kubectl` and `helm`."""
        return self.root / "bin"

    @property
    def state(self) -> Path:
        """What the cluster itself reads and writes: certificates, etcd, containers, volumes, logs."""
        return self.root / "state"

    @property
    def logs(self) -> Path:
        """One log per component."""
        return self.state / "logs"

    @property
    def components(self) -> Path:
        """What the cluster's first process knows of its children, as JSON."""
        return self.state / "components.json"


def cache() -> Path:
    """The cache of everything that is built once: `$XDG_CACHE_HOME/riskbus`."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(base) / "riskbus"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep every other process out that also asks for this directory; leaves no file behind."""
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
