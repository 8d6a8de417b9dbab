"""The chart on a real cluster: the operator starts under the restricted standard, and its roles are enough."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.handle import CommandError
from tests.cluster.local.paths import REPOSITORY
from tests.cluster.volume_user import RESTRICTED_CONTAINER, RESTRICTED_POD
from tests.policy_api.examples import changed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.handle import Cluster

IMAGE = "localhost/riskbus-operator"
WORKLOAD: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "jules", "labels": {"app": "intraday-jules"}},
    "spec": {
        "replicas": 1,  # its pod need not run: that it is scheduled gives the claim its volume
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": {"app": "jules"}},
        "template": {
            "metadata": {"labels": {"app": "jules"}},
            "spec": {
                "securityContext": RESTRICTED_POD,
                "containers": [{"name": "jules", "image": "localhost/none", "securityContext": RESTRICTED_CONTAINER}],
            },
        },
    },
}


@pytest.fixture
def operator(cluster: Cluster, namespace: str) -> Iterator[str]:
    """The chart, installed beside whatever is there, into a namespace that enforces the restricted standard."""
    cluster.build_image("operator", f"{IMAGE}:dev")
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    release = f"riskbus-operator-{uuid.uuid4().hex[:6]}"
    where = ["--namespace", namespace, "--wait", "--timeout=120s"]
    values = [f"--set=image.repository={IMAGE},image.tag=dev", "--set=crds.enabled=false,networkPolicy.enabled=true"]
    cluster.helm("install", release, str(REPOSITORY / "charts" / "riskbus-operator"), *where, *values)
    yield release
    cluster.helm("uninstall", release, *where)


def test_its_roles_are_enough_to_install_a_policy_and_take_it_back(
    cluster: Cluster, namespace: str, operator: str
) -> None:
    """A right that is missing shows as an error in the log, or as a policy that never gets there."""
    where = ["--namespace", namespace]
    volume = {"size": "64Mi", "storageClassName": cluster.storage_class}
    policy = changed({"metadata.namespace": namespace, "spec.volume": volume})
    objects = {"apiVersion": "v1", "kind": "List", "items": [WORKLOAD, policy]}
    cluster.kubectl("apply", *where, "--filename", "-", stdin=json.dumps(objects))

    cluster.kubectl("wait", *where, "rap/intraday", "--for=condition=Injected", "--timeout=60s")
    cluster.kubectl("wait", *where, "rap/intraday", "--for=condition=AlertsInstalled", "--timeout=60s")
    told = "--for=jsonpath={.status.volumes[0].reclaimPolicy}"
    cluster.kubectl("wait", *where, "rap/intraday", told, "--timeout=90s")
    made = cluster.kubectl("get", *where, "pvc,role,rolebinding,prometheusrule", "--output=name").split()
    cluster.kubectl("delete", *where, "rap/intraday", "--timeout=60s")
    left = cluster.kubectl("get", *where, "pvc,role,rolebinding,prometheusrule", "--output=name").split()
    template = json.loads(cluster.kubectl("get", *where, "deployment/jules", "--output=json"))["spec"]["template"]

    assert {kind_and_name.split("/")[0].split(".")[0] for kind_and_name in set(made) - set(left)} == {
        "role",
        "rolebinding",
        "prometheusrule",
    }
    assert "persistentvolumeclaim/jules-risk-audit" in left
    assert not template["spec"]["containers"][0].get("env")
    logs = cluster.kubectl("logs", *where, f"--selector=app.kubernetes.io/instance={operator}", "--tail=-1")
    assert "this operator works now" in logs
    assert "forbidden" not in logs.lower()


def test_definitions_that_kubectl_applied_are_left_to_kubectl(cluster: Cluster, namespace: str) -> None:
    """Helm takes nothing over that it did not make; the chart's README says what to set then."""
    chart = str(REPOSITORY / "charts" / "riskbus-operator")
    attempt = ("install", "second", chart, "--namespace", namespace, "--dry-run=server")

    with pytest.raises(CommandError, match=r"CustomResourceDefinition .* invalid ownership metadata"):
        cluster.helm(*attempt)

    assert "crds.enabled is false: the definitions are yours" in cluster.helm(*attempt, "--set=crds.enabled=false")
