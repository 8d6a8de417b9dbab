"""The operator as a process of the test's own, and the workloads and policies that it works on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cluster.waiting import eventually

if TYPE_CHECKING:
    from tests.cluster.handle import Cluster

Object = dict[str, Any]

MADE = ("deployments", "statefulsets", "persistentvolumeclaims", "roles", "rolebindings", "prometheusrules")
"""What a policy changes or makes."""

_LIMIT_SECONDS = 60.0
_SERVER_SIDE = ("resourceVersion", "uid", "creationTimestamp", "generation", "managedFields", "selfLink")


class OperatorProcess:
    """`riskbus-operator run` against the cluster of the tests.

    Args:
        cluster: Where it works, in all namespaces.
        namespace: Where its Lease is: operators with the same one take turns.
        log: Where it logs to.
        identity: Who it is to the Lease; the same one goes on at once, like a restarted container of a pod.
    """

    def __init__(self, cluster: Cluster, namespace: str, log: Path, identity: str = "first") -> None:
        self._cluster = cluster
        self._namespace = namespace
        self.log = log
        self._identity = identity
        self._process: subprocess.Popen[bytes] | None = None
        self._port = _free_port()

    def start(self) -> None:
        """Start it; it works a moment later."""
        arguments = [
            "run",
            "--listen",
            f"127.0.0.1:{self._port}",
            "--lease-namespace",
            self._namespace,
            "--resync",
            "1",
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [Path(sys.executable).with_name("riskbus-operator"), *arguments],
                env={**os.environ, "KUBECONFIG": str(self._cluster.kubeconfig), "POD_NAME": self._identity},
                stdout=log,
                stderr=log,
            )

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal and wait for its end."""
        if self._process is not None:
            self._process.send_signal(number)
            self.wait()

    def wait(self) -> int | None:
        """Wait for its end and return its exit code; None if it was not running."""
        process, self._process = self._process, None
        return process.wait(_LIMIT_SECONDS) if process is not None else None

    @property
    def leads(self) -> bool:
        """Whether it holds the Lease and works."""
        return self.metric("riskbus_operator_leader") == 1

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def metric(self, name: str) -> float:
        """The sum of a metric over all its labels; 0 while the operator does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return 0.0
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))


@dataclass(frozen=True)
class Namespace:
    """One namespace of the cluster, as the tests of the operator use it."""

    cluster: Cluster
    name: str

    def apply(self, *objects: Object) -> None:
        """Apply objects as a user does with kubectl."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "--filename", "-", stdin=json.dumps(listed))

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl in the namespace."""
        return self.cluster.kubectl("--namespace", self.name, *arguments, stdin=stdin)

    def get(self, what: str) -> Object:
        """One object, with its managed fields."""
        found: Object = json.loads(self.kubectl("get", what, "--output", "json", "--show-managed-fields"))
        return found

    def list(self, kind: str) -> list[Object]:
        """Every object of a kind."""
        items: list[Object] = json.loads(self.kubectl("get", kind, "--output", "json"))["items"]
        return items

    def versions(self, *kinds: str) -> dict[str, str]:
        """The version of every object of these kinds: equal before and after if nobody wrote anything."""
        found = [obj for kind in kinds for obj in self.list(kind)]
        return {f"{obj['kind']}/{obj['metadata']['name']}": obj["metadata"]["resourceVersion"] for obj in found}

    def condition(self, policy: str, kind: str) -> Object:
        """A condition of a policy; empty while it has none."""
        conditions = self.get(f"riskauditpolicy/{policy}").get("status", {}).get("conditions", [])
        return next((one for one in conditions if one["type"] == kind), {})

    def wait_for(self, policy: str, kind: str, reason: str) -> Object:
        """Wait until a condition of the policy has this reason, and return it."""
        eventually(lambda: self.condition(policy, kind).get("reason") == reason, f"{kind} of {policy} is {reason}")
        return self.condition(policy, kind)

    def template(self, workload: str) -> Object:
        """The spec of the workload's pod template."""
        spec: Object = self.get(workload)["spec"]["template"]["spec"]
        return spec

    def is_injected(self, workload: str) -> bool:
        """Whether the workload's template has the volume of its claim."""
        volumes = self.template(workload).get("volumes", [])
        return any("persistentVolumeClaim" in volume for volume in volumes)


def workload(kind: str = "Deployment", name: str = "jules", **spec: Any) -> Object:
    """A workload without pods: what is tested is its template."""
    labels = {"app": name}
    container = {"name": "jules", "image": "localhost/pause:1", "env": [{"name": "MINE", "value": "1"}]}
    rollout = {"strategy": {"type": "Recreate"}} if kind == "Deployment" else {"serviceName": name}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": {**labels, "team": "equities"}},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            **rollout,
            **spec,
        },
    }


def policy(cluster: Cluster, name: str = "equities", **spec: Any) -> Object:
    """A policy for every workload of the team."""
    return {
        "apiVersion": "riskbus.io/v1alpha1",
        "kind": "RiskAuditPolicy",
        "metadata": {"name": name},
        "spec": {
            "workloads": {"selector": {"matchLabels": {"team": "equities"}}},
            "audit": {"logPath": "/var/log/jules/risk_audit.jsonl"},
            "volume": {"size": "64Mi", "storageClassName": cluster.storage_class},
            **spec,
        },
    }


def essence(obj: Object) -> Object:
    """An object without what the API server adds and what differs between two namespaces."""
    metadata = {key: value for key, value in obj["metadata"].items() if key not in (*_SERVER_SIDE, "namespace")}
    for owner in metadata.get("ownerReferences", []):
        owner.pop("uid")
    text = json.dumps({**obj, "metadata": metadata, "status": {}}, sort_keys=True)
    found: Object = json.loads(text.replace(obj["metadata"].get("namespace", "\0"), "NAMESPACE"))
    return found


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
