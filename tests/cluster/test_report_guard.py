"""The admission policy of the chart: with a service account's token, a report can only be about the pod that has it."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.cluster.handle import CommandError
from tests.cluster.local.paths import REPOSITORY
from tests.policy_api.test_models import REPORT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster.handle import Cluster

_ATTEMPTS = 300

ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "reports"},
    "rules": [
        {"apiGroups": ["riskbus.io"], "resources": ["riskauditreports"], "verbs": ["get", "create", "patch"]},
    ],
}
BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "RoleBinding",
    "metadata": {"name": "reports"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reports"},
}


@dataclass(frozen=True)
class Pod:
    """A pod, and a kubectl that has its token alone."""

    namespace: str
    name: str
    uid: str
    own: Cluster

    def write(self, report: dict[str, Any], *options: str, namespace: str | None = None) -> str:
        """Apply a report as the library does: server-side, by the library's own field manager."""
        where = ["--namespace", namespace or self.namespace]
        how = ["--server-side", "--field-manager=riskbus", "--force-conflicts", "--validate=false"]
        return self.own.kubectl("apply", *where, *how, *options, "--filename", "-", stdin=json.dumps(report))


@dataclass(frozen=True)
class Tokens:
    """Makes handles of the cluster that have one token and no other credential."""

    cluster: Cluster
    folder: Path

    def handle(self, token: str) -> Cluster:
        """A kubeconfig of the same cluster whose only credential is the token."""
        config = json.loads(self.cluster.kubectl("config", "view", "--raw", "--minify", "--output=json"))
        for user in config["users"]:
            user["user"] = {"token": token}
        path = self.folder / f"{uuid.uuid4().hex}.json"
        path.write_text(json.dumps(config))
        return replace(self.cluster, kubeconfig=path)

    def loose(self, namespace: str) -> Cluster:
        """A handle with a token of the default service account that is bound to no pod."""
        return self.handle(self.cluster.kubectl("create", "token", "default", "--namespace", namespace).strip())

    def pod(self, namespace: str, name: str) -> Pod:
        """A pod that runs nothing (it waits for a node that there is not), with its own bound token."""
        spec = {
            "nodeSelector": {"riskbus.io/nowhere": "true"},
            "containers": [{"name": "jules", "image": "localhost/none"}],
        }
        manifest = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
        where = ["--namespace", namespace]
        made = self.cluster.kubectl("create", *where, "--output=json", "--filename", "-", stdin=manifest)
        uid = json.loads(made)["metadata"]["uid"]
        bound = ["--bound-object-kind=Pod", f"--bound-object-name={name}", f"--bound-object-uid={uid}"]
        token = self.cluster.kubectl("create", "token", "default", *where, *bound).strip()
        return Pod(namespace, name, uid, self.handle(token))


@pytest.fixture
def tokens(cluster: Cluster, tmp_path: Path) -> Tokens:
    """Handles with one token each."""
    return Tokens(cluster, tmp_path)


@pytest.fixture(scope="module")
def guard(cluster: Cluster) -> Iterator[None]:
    """The chart's guard under a name of its own, so that an installed operator keeps its own."""
    release = f"guard-{uuid.uuid4().hex[:8]}"
    chart = str(REPOSITORY / "charts" / "riskbus-operator")
    shown = cluster.helm("template", release, chart, "--kube-version=1.36", "--show-only=templates/report-guard.yaml")
    cluster.kubectl("apply", "--filename", "-", stdin=shown)
    yield
    cluster.kubectl("delete", "--filename", "-", stdin=shown)


@pytest.fixture
def pod(guard: None, cluster: Cluster, namespace: str, tokens: Tokens) -> Pod:  # noqa: ARG001 - to be there first
    """A pod whose service account may write the reports of its namespace, where the guard is awake."""
    _allow_reports(cluster, namespace, service_account_of=namespace)
    pod = tokens.pod(namespace, "jules-0")
    loose = replace(pod, own=tokens.loose(namespace))
    said = ""
    for _ in range(_ATTEMPTS):  # the API server takes a moment to load a new policy
        try:
            loose.write(_report(pod.name, pod.uid), "--dry-run=server")
        except CommandError as refusal:
            said = str(refusal)
            if "ValidatingAdmissionPolicy" in said:
                return pod
    pytest.fail(f"the guard does not wake up: {said}")


def _allow_reports(cluster: Cluster, namespace: str, *, service_account_of: str) -> None:
    subjects = [{"kind": "ServiceAccount", "name": "default", "namespace": service_account_of}]
    manifests = yaml.safe_dump_all([ROLE, BINDING | {"subjects": subjects}])
    cluster.kubectl("apply", "--namespace", namespace, "--filename", "-", stdin=manifests)


def _report(name: str, uid: str) -> dict[str, Any]:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}
    return REPORT | {"metadata": {"name": name, "ownerReferences": [owner]}}


def test_a_pod_writes_its_own_report_again_and_again(cluster: Cluster, pod: Pod) -> None:
    """The first apply is a CREATE, the next an UPDATE: both are guarded."""
    pod.write(_report(pod.name, pod.uid))
    pod.write(_report(pod.name, pod.uid) | {"container": "second"})

    shown = cluster.kubectl("get", "rar", pod.name, "--namespace", pod.namespace)
    assert shown.split()[:4] == ["NAME", "VERDICT", "REASON", "DURABLE"]
    assert shown.split()[8:12] == ["Valid", "DurableVolume", "40", "second"]


def test_a_pod_cannot_write_the_report_of_another(tokens: Tokens, pod: Pod) -> None:
    """All pods of a workload share a service account: a role alone lets each speak for all."""
    other = tokens.pod(pod.namespace, "jules-1")

    with pytest.raises(CommandError, match="name it jules-0"):
        pod.write(_report(other.name, other.uid))


@pytest.mark.parametrize("owners", [[], [{"apiVersion": "v1", "kind": "Pod", "name": "jules-0", "uid": "another"}]])
def test_a_report_belongs_to_the_very_pod_that_writes_it(pod: Pod, owners: list[dict[str, str]]) -> None:
    """A report without its owner would outlive the pod and go on saying that all is well."""
    report = _report(pod.name, pod.uid)
    report["metadata"]["ownerReferences"] = owners

    with pytest.raises(CommandError, match=f"one owner reference, to the Pod with uid {pod.uid}"):
        pod.write(report)


def test_a_token_that_is_bound_to_no_pod_writes_no_report(tokens: Tokens, pod: Pod) -> None:
    """A token that was copied from a Secret says nothing about who uses it."""
    with pytest.raises(CommandError, match="only a pod writes its report, with its own bound token"):
        replace(pod, own=tokens.loose(pod.namespace)).write(_report(pod.name, pod.uid))


def test_a_pod_cannot_write_into_another_namespace(cluster: Cluster, pod: Pod) -> None:
    """Pods of one name exist in many namespaces."""
    elsewhere = f"{pod.namespace}-other"
    cluster.kubectl("create", "namespace", elsewhere)
    _allow_reports(cluster, elsewhere, service_account_of=pod.namespace)
    try:
        with pytest.raises(CommandError, match="a pod writes its report into its own namespace"):
            pod.write(_report(pod.name, pod.uid), namespace=elsewhere)
    finally:
        cluster.kubectl("delete", "namespace", elsewhere, "--wait=false")


def test_a_report_goes_with_its_pod(cluster: Cluster, pod: Pod) -> None:
    """The garbage collector must get past the guard, or pods and namespaces hang in deletion."""
    pod.write(_report(pod.name, pod.uid))

    cluster.kubectl("delete", "pod", pod.name, "--namespace", pod.namespace, "--cascade=foreground", "--timeout=60s")

    cluster.kubectl("wait", "rar", pod.name, "--namespace", pod.namespace, "--for=delete", "--timeout=60s")


def test_a_report_can_be_kept_when_its_pod_goes(cluster: Cluster, pod: Pod) -> None:
    """With --cascade=orphan the garbage collector rewrites the report, against the guard's letter."""
    pod.write(_report(pod.name, pod.uid))

    cluster.kubectl("delete", "pod", pod.name, "--namespace", pod.namespace, "--cascade=orphan", "--timeout=60s")

    kept = json.loads(cluster.kubectl("get", "rar", pod.name, "--namespace", pod.namespace, "--output=json"))
    assert "ownerReferences" not in kept["metadata"]
