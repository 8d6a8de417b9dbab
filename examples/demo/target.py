"""The cluster that the demonstration runs on: the local one, or the one that KUBECONFIG names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from examples.demo.terminal import DemoError, run
from tests.cluster.local.build_image import build_and_load
from tests.cluster.local.errors import LocalClusterError
from tests.cluster.local.paths import ClusterDirectory

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = ROOT / ".cluster"
NAMESPACE = "trading"


@dataclass(frozen=True)
class Target:
    """Where kubectl and helm go, and how the cluster gets images and storage."""

    local: bool
    kubectl_path: str
    helm_path: str
    kubeconfig: str
    storage_class: str

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl in the workload's namespace and return what it printed.

        Raises:
            DemoError: it failed.
        """
        return run(
            [self.kubectl_path, "--namespace", NAMESPACE, *arguments],
            stdin=stdin,
            environment=self.environment(),
            check=check,
        )

    def helm(self, *arguments: str) -> str:
        """Run helm and return what it printed.

        Raises:
            DemoError: it failed.
        """
        return run([self.helm_path, *arguments], environment=self.environment())

    def build_images(self, images: Mapping[str, str]) -> set[str]:
        """Build targets of the Dockerfile and load them into the local node; return those that replaced another one.

        Raises:
            DemoError: one could not be built.
        """
        directory = ClusterDirectory(CLUSTER)
        try:
            return {target for target, tag in images.items() if build_and_load(directory, target=target, tag=tag)}
        except LocalClusterError as error:
            raise DemoError(str(error)) from None

    def shell(self, line: str) -> str:
        """Run a line as a person would type it, in a shell whose context is the workload's namespace."""
        return run(["bash", "-o", "pipefail", "-c", line], environment=self.environment())

    def environment(self) -> dict[str, str]:
        """The environment in which `kubectl` and `helm` mean this cluster."""
        tools = os.pathsep.join([str(Path(self.kubectl_path).parent), os.environ["PATH"]])
        return {**os.environ, "KUBECONFIG": self.kubeconfig, "PATH": tools}


def given(*, to_end: bool = False) -> Target:
    """The cluster of the user's own KUBECONFIG; to end a demonstration there takes no storage class.

    Raises:
        DemoError: a tool is missing or nothing answers there.
    """
    for tool in ("kubectl", "helm"):
        if shutil.which(tool) is None:
            raise DemoError(f"{tool} is not on PATH; install it, or unset KUBECONFIG to use the local cluster.")
    target = Target(
        local=False,
        kubectl_path=str(shutil.which("kubectl")),
        helm_path=str(shutil.which("helm")),
        kubeconfig=os.environ["KUBECONFIG"],
        storage_class=os.environ.get("DEMO_STORAGE_CLASS", "standard"),
    )
    try:
        target.kubectl("version")
        if not to_end:
            target.kubectl("get", "storageclass", target.storage_class)
    except DemoError as error:
        raise DemoError(
            f"The cluster of KUBECONFIG={target.kubeconfig} is not usable; mend it, set DEMO_STORAGE_CLASS to one of "
            f"its storage classes, or unset KUBECONFIG to use the local cluster.\n{error}"
        ) from None
    return target


def local() -> Target:
    """The local cluster, built and started where that is still to do; it prints its own steps."""
    local_cluster("up", "--namespace", NAMESPACE)
    return Target(
        local=True,
        kubectl_path=str(CLUSTER / "bin/kubectl"),
        helm_path=str(CLUSTER / "bin/helm"),
        kubeconfig=str(CLUSTER / "kubeconfig"),
        storage_class="fast-ssd",
    )


def local_cluster(*arguments: str) -> None:
    """Run a command of the local cluster, its output on ours; if it fails, it has said why, and this program ends."""
    done = subprocess.run([sys.executable, "-m", "tests.cluster.local", *arguments], cwd=ROOT, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)
