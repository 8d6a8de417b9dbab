"""The cluster that the tests of this folder run on: where kubectl and helm go, and how it gets images and storage."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.cluster.local.build_image import build_and_load

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.local.paths import ClusterDirectory

_LIMIT_SECONDS = 300.0


class CommandError(Exception):
    """kubectl or helm failed; the text is the command and all it said."""


@dataclass(frozen=True)
class Cluster:
    """A running cluster.

    `directory` is the one of a local cluster; None for the cluster of the user's KUBECONFIG, where kubectl and helm are
    those on PATH, and images are there already.
    """

    kubeconfig: Path
    storage_class: str
    directory: ClusterDirectory | None = None

    @property
    def local(self) -> bool:
        """Whether it is the local cluster, which belongs to the tests alone."""
        return self.directory is not None

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl as administrator and return what it prints; if it fails unchecked, also its errors.

        Raises:
            CommandError: it failed, and `check` is true.
        """
        return self._run("kubectl", *arguments, stdin=stdin, check=check)

    def helm(self, *arguments: str) -> str:
        """Run helm as administrator and return what it prints.

        Raises:
            CommandError: it failed.
        """
        return self._run("helm", *arguments)

    def build_image(self, target: str, tag: str) -> None:
        """Build a target of the Dockerfile and load it into the local node; in any other cluster it is there already.

        Raises:
            LocalClusterError: it could not be built or loaded.
        """
        if self.directory is not None:
            build_and_load(self.directory, target=target, tag=tag)

    def _run(self, tool: str, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        program = str(self.directory.bin / tool) if self.directory else shutil.which(tool)
        if program is None:
            raise CommandError(f"{tool} is not on PATH; install it, or unset KUBECONFIG to use the local cluster")
        done = subprocess.run(
            [program, *arguments],
            check=False,
            capture_output=True,
            text=True,
            input=stdin or "",
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            timeout=_LIMIT_SECONDS,
        )
        if done.returncode == 0:
            return done.stdout
        if check:
            raise CommandError(f"{tool} {' '.join(arguments)}: {(done.stdout + done.stderr).strip()}")
        return done.stdout + done.stderr
