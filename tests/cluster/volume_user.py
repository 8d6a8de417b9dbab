"""A pod with a claim of its own, on which a test runs Python: non-root and restricted, as a trading workload is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.cluster.handle import Cluster

IMAGE = "localhost/riskbus-example:dev"
USER = 65532
GROUP = 23456
MOUNT_PATH = "/data"
RESTRICTED_POD = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "fsGroup": GROUP,
    "seccompProfile": {"type": "RuntimeDefault"},
}
RESTRICTED_CONTAINER = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


@dataclass(frozen=True)
class VolumeUser:
    """The pod `name`; its claim has the same name and is mounted at `MOUNT_PATH`."""

    cluster: Cluster
    namespace: str
    name: str

    def start(self, size: str) -> None:
        """Make the claim, if it is not there, and the pod, and wait until the pod runs."""
        self._apply(_claim(self.name, size, self.cluster.storage_class))
        self._apply(_pod(self.name))
        self._kubectl("wait", f"pod/{self.name}", "--for=condition=Ready", "--timeout=90s")

    def resize(self, size: str) -> None:
        """Ask for a larger claim."""
        self._apply(_claim(self.name, size, self.cluster.storage_class))

    def run(self, code: str) -> str:
        """Run Python in the pod and return what it prints.

        Raises:
            CommandError: it failed.
        """
        return self._kubectl("exec", self.name, "--", "python", "-c", code).strip()

    def delete_pod(self) -> None:
        """Delete the pod and wait until it is gone; the claim stays."""
        self._kubectl("delete", f"pod/{self.name}", "--timeout=90s")

    def delete_claim(self) -> None:
        """Delete the claim and wait until it is gone."""
        self._kubectl("delete", f"pvc/{self.name}", "--timeout=90s")

    def volume(self) -> str:
        """Name of the claim's PersistentVolume."""
        return self._kubectl("get", f"pvc/{self.name}", "--output=jsonpath={.spec.volumeName}")

    def capacity(self) -> str:
        """Size of the PersistentVolume."""
        return self.cluster.kubectl("get", f"pv/{self.volume()}", "--output=jsonpath={.spec.capacity.storage}")

    def _apply(self, manifest: dict[str, Any]) -> None:
        self._kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(manifest))

    def _kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl("--namespace", self.namespace, *arguments, stdin=stdin)


def _claim(name: str, size: str, storage_class: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "storageClassName": storage_class,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
        },
    }


def _pod(name: str) -> dict[str, Any]:
    container = {
        "name": "python",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", "import signal; signal.pause()"],
        "securityContext": RESTRICTED_CONTAINER,
        "volumeMounts": [{"name": "data", "mountPath": MOUNT_PATH}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": RESTRICTED_POD,
            "containers": [container],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}],
        },
    }
