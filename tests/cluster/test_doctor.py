"""`riskbus doctor` where it is meant to run: in the workload's pod, and before it, in an init container."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.cluster.handle import CommandError
from tests.cluster.local.paths import REPOSITORY
from tests.cluster.waiting import eventually

if TYPE_CHECKING:
    from tests.cluster.operator_process import Namespace, Object

EXAMPLE = REPOSITORY / "examples" / "intraday-jules" / "checked.yaml"
DIRECTORY = "/var/log/intraday-checked"
DOCTOR = ("exec", "deployment/intraday-checked", "--container=jules", "--", "riskbus", "doctor")


def example(here: Namespace) -> dict[str, Object]:
    """The example's objects by kind, for this namespace and cluster."""
    found: dict[str, Object] = {obj["kind"]: obj for obj in yaml.safe_load_all(EXAMPLE.read_text())}
    for obj in found.values():
        obj["metadata"]["namespace"] = here.name
    found["RiskAuditPolicy"]["spec"]["volume"]["storageClassName"] = here.cluster.storage_class
    return found


def on_an_empty_dir(deployment: Object) -> Object:
    """The example's Deployment as somebody writes it who knows no better."""
    pod = deployment["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "audit", "emptyDir": {}}]
    for container in (*pod["initContainers"], *pod["containers"]):
        container["env"] = [{"name": "RISK_AUDIT_LOG_PATH", "value": f"{DIRECTORY}/risk_audit.jsonl"}]
        container["volumeMounts"] = [{"name": "audit", "mountPath": DIRECTORY}]
    return deployment


def statuses(here: Namespace, section: str) -> list[Object]:
    """What the kubelet says about the containers of every pod."""
    return [status for pod in here.list("pods") for status in pod["status"].get(section, ())]


def test_a_pod_whose_volume_is_fit_passes_its_checklist_and_starts(trading: Namespace) -> None:
    """The deployment checklist that nobody forgets, because the pod itself goes through it."""
    trading.apply(*example(trading).values())

    trading.wait_for("checked", "Ready", "Ready")

    said = trading.kubectl("logs", "--selector=app=intraday-checked", "--container=doctor", "--tail=-1")
    assert said.endswith("\nThis place is fit for an audit log.\n")
    for check in ("environment", "mount", "permission", "space", "inodes", "retention", "staging", "report"):
        assert re.search(f"^OK +{check} ", said, re.MULTILINE), said
    assert re.search("^OK +form +the hottest paths are compiled", said, re.MULTILINE), said


def test_the_checklist_runs_in_a_pod_beside_its_log(trading: Namespace) -> None:
    """For a person in an incident, and for a machine that asks every night."""
    trading.apply(*example(trading).values())
    trading.wait_for("checked", "Ready", "Ready")

    told = json.loads(trading.kubectl(*DOCTOR, "--json"))
    assert told["fit"]
    assert {check["result"] for check in told["checks"]} <= {"OK", "WARN"}
    with pytest.raises(CommandError, match="exit code 1"):
        trading.kubectl(*DOCTOR, "--path", "/run/riskbus/risk_audit.jsonl")  # memory, not storage


@pytest.mark.usefixtures("operator")
def test_a_pod_on_an_empty_dir_does_not_start_and_says_why(trading: Namespace) -> None:
    """Better a pod that waits where everybody sees it than evidence that is missing at the audit."""
    objects = example(trading)
    trading.apply(objects["ServiceAccount"], on_an_empty_dir(objects["Deployment"]))

    def ended() -> list[Object]:
        states = [{**one["lastState"], **one["state"]} for one in statuses(trading, "initContainerStatuses")]
        return [state["terminated"] for state in states if "terminated" in state]

    eventually(lambda: bool(ended()), "the init container has ended")
    reason = (
        f"mount: Invalid/EphemeralEmptyDir: {DIRECTORY} is on an emptyDir, which is deleted with its pod; mount a "
        "PersistentVolumeClaim there or cover the workload with a RiskAuditPolicy."
    )
    assert ended()[0]["exitCode"] == 1
    for ask in (("logs", "--container=doctor", "--tail=-1"), ("describe", "pod")):
        # The kubelet tries again now and then, and for a moment the new container has said nothing.
        eventually(
            lambda: reason in trading.kubectl(*ask, "--selector=app=intraday-checked"),  # noqa: B023 -- called at once
            f"{ask} says why",
        )
    assert [status["started"] for status in statuses(trading, "containerStatuses")] == [False]
