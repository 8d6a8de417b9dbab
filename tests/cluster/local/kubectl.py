"""Run the cluster's own kubectl."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.cluster.local.errors import LocalClusterError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.local.paths import ClusterDirectory


def kubectl(directory: ClusterDirectory, *arguments: str, stdin: str | None = None, timeout: float = 60) -> str:
    """Run kubectl as the administrator and return what it prints; `timeout` in seconds.

    Raises:
        LocalClusterError: it failed; the text is its last line.
    """
    command = [str(directory.bin / "kubectl"), "--kubeconfig", str(directory.kubeconfig), *arguments]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, input=stdin, timeout=timeout)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LocalClusterError(f"kubectl {arguments[0]}: {error}") from error
    if done.returncode != 0:
        raise LocalClusterError(f"kubectl {' '.join(arguments)}: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout


def apply(directory: ClusterDirectory, *manifests: Path) -> None:
    """Apply manifest files, or all of a folder, on the server side."""
    files = [f"--filename={path}" for path in manifests]
    kubectl(directory, "apply", "--server-side", "--force-conflicts", *files)
