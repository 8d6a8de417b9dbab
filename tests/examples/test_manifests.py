"""The example's manifests are what a user copies, so they must be right as they stand."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from riskbus_operator.api.policy import RiskAuditPolicy

FOLDER = Path(__file__).parents[2] / "examples" / "intraday-jules"


def objects(file: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the objects of a file by kind and name."""
    found = list(yaml.safe_load_all((FOLDER / file).read_text()))
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


EXAMPLES = [
    ("deployment.yaml", "intraday-jules", "policy.yaml", "intraday"),
    ("ephemeral.yaml", "intraday-ephemeral", "ephemeral.yaml", "ephemeral"),
    ("checked.yaml", "intraday-checked", "checked.yaml", "checked"),
]


@pytest.mark.parametrize(("deployment_file", "deployment", "policy_file", "policy"), EXAMPLES)
def test_a_policy_is_valid_and_selects_its_deployment(
    deployment_file: str, deployment: str, policy_file: str, policy: str
) -> None:
    """A label mistyped in an example is a volume that nobody gets."""
    parsed = RiskAuditPolicy.parse(objects(policy_file)["RiskAuditPolicy", policy], strict=True)
    workload = objects(deployment_file)["Deployment", deployment]
    assert parsed.spec.workloads.selector is not None
    assert parsed.spec.workloads.selector.match_labels == workload["metadata"]["labels"]
    assert workload["spec"]["selector"]["matchLabels"] == workload["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize(("file", "name"), [(each[0], each[1]) for each in EXAMPLES])
def test_a_deployment_fits_the_restricted_standard_and_a_single_writer(file: str, name: str) -> None:
    """Its namespace enforces the standard, and one ReadWriteOnce volume takes one pod at a time."""
    spec = objects(file)["Deployment", name]["spec"]
    pod = spec["template"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert pod["serviceAccountName"] == name
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_the_deployment_says_nothing_about_the_audit_log() -> None:
    """That is the point: the policy does."""
    pod = objects("deployment.yaml")["Deployment", "intraday-jules"]["spec"]["template"]["spec"]
    assert "volumes" not in pod
    assert not {"env", "volumeMounts"} & set(pod["containers"][0])


def test_the_ephemeral_deployment_really_is_what_the_policy_objects_to() -> None:
    """An emptyDir where the policy would mount its volume."""
    pod = objects("ephemeral.yaml")["Deployment", "intraday-ephemeral"]["spec"]["template"]["spec"]
    policy = RiskAuditPolicy.parse(objects("ephemeral.yaml")["RiskAuditPolicy", "ephemeral"])
    (mount,) = pod["containers"][0]["volumeMounts"]
    assert str(Path(policy.spec.audit.log_path).parent) == mount["mountPath"]
    assert pod["volumes"] == [{"name": mount["name"], "emptyDir": {}}]
