"""The Kubernetes versions that the local cluster can be."""

from __future__ import annotations

from dataclasses import dataclass

from tests.cluster.local.errors import LocalClusterError

DEFAULT = "1.36"


@dataclass(frozen=True)
class Kubernetes:
    """One version: its release, and how its Go module is found."""

    minor: str
    release: str
    modfile: str
    tags: str


_KNOWN = {
    "1.36": Kubernetes(minor="1.36", release="1.36.3", modfile="go.mod", tags=""),
    "1.31": Kubernetes(minor="1.31", release="1.31.0", modfile="1.31.mod", tags="kubernetes_1_31"),
}


def kubernetes(minor: str) -> Kubernetes:
    """Look a version up by its minor number, such as `1.36`.

    Raises:
        LocalClusterError: it is none of the versions that have a locked Go module here.
    """
    if minor not in _KNOWN:
        raise LocalClusterError(f"Kubernetes {minor} is not known here; choose one of {', '.join(sorted(_KNOWN))}")
    return _KNOWN[minor]
