"""Real pods with riskbus in them: what they report, what the policy makes of it, and what outlives a killed process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster.operator_process import Namespace, Object, policy, workload
from tests.cluster.volume_user import IMAGE, RESTRICTED_CONTAINER, RESTRICTED_POD
from tests.cluster.waiting import eventually

EVENTS = 3000
OPENER = """
import signal
from riskbus import AuditLog
log = AuditLog()
signal.pause()
"""
PUBLISHER = f"""
import os, pathlib, signal
from riskbus import AuditLog, EventPriority, RiskEvent
log = AuditLog()
first_start = pathlib.Path(os.environ["RISK_AUDIT_LOG_PATH"]).with_name("first-start")
if not first_start.exists():
    first_start.touch()
    for number in range({EVENTS}):
        log.append(RiskEvent("LIMIT_BREACH", EventPriority.NORMAL, source="test", data={{"number": number}}))
    os.kill(os.getpid(), signal.SIGKILL)
signal.pause()
"""
RECORDS = """
import json, pathlib
from riskbus.testing import read_records
print(json.dumps([(r["event_type"], r["data"]) for r in read_records(pathlib.Path("/var/log/jules/risk_audit.jsonl"))]))
"""


def program(code: str, kind: str = "Deployment", replicas: int = 1) -> Object:
    """A restricted workload of one pod that runs this Python."""
    labels = {"app": "jules"}
    container = {
        "name": "jules",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", code],
        "securityContext": RESTRICTED_CONTAINER,
    }
    pod = {
        "terminationGracePeriodSeconds": 0,
        "shareProcessNamespace": True,  # the first process of a namespace could not kill itself
        "securityContext": RESTRICTED_POD,
        "containers": [container],
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    return workload(kind, template=template, replicas=replicas)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_pod_on_its_claim_reports_so_and_the_policy_is_ready(trading: Namespace, kind: str) -> None:
    """Ready means that every pod itself has written to durable storage and said so, with its own token."""
    trading.apply(policy(trading.cluster, validation={"interval": "10s"}), program(OPENER, kind))

    told = trading.wait_for("equities", "Ready", "Ready")

    assert told["message"] == "1 of 1 pods of 1 workloads write to durable storage"
    (pod,), (report,) = trading.list("pods"), trading.list("riskauditreports")
    assert report["metadata"]["name"] == pod["metadata"]["name"]
    assert [owner["uid"] for owner in report["metadata"]["ownerReferences"]] == [pod["metadata"]["uid"]]
    assert (report["mount"]["verdict"], report["mount"]["filesystem"]) == ("Valid", "ext4")
    (volume,) = trading.get("riskauditpolicy/equities")["status"]["volumes"]
    assert (volume["claim"], volume["phase"]) == ("jules-risk-audit", "Bound")


def test_a_pod_on_an_empty_dir_reports_so_and_the_policy_says_what_to_do(trading: Namespace) -> None:
    """The evidence would go with the pod, and nobody would notice before the audit."""
    mine = program(OPENER)
    pod = mine["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "scratch", "emptyDir": {}}]
    pod["containers"][0]["volumeMounts"] = [{"name": "scratch", "mountPath": "/var/log/jules"}]
    skipping = policy(trading.cluster, injection={"onConflict": "Skip"}, validation={"interval": "10s"})
    trading.apply(skipping, mine)

    told = trading.wait_for("equities", "MountsValidated", "EphemeralEmptyDir")

    assert "/var/log/jules is on an emptyDir, which is deleted with its pod; mount a Persist" in told["message"]
    assert trading.condition("equities", "Ready")["status"] == "False"
    assert [report["mount"]["verdict"] for report in trading.list("riskauditreports")] == ["Invalid"]
    (failure,) = trading.get("riskauditpolicy/equities")["status"]["failures"]
    assert failure["reason"] == "EphemeralEmptyDir"


@pytest.mark.parametrize("writer", ["InProcess", "ChildProcess"])
def test_what_a_killed_process_had_accepted_is_written_by_the_next_one_in_the_pod(
    trading: Namespace, writer: str
) -> None:
    """`publish` returned for it, and the trade went on: an auditor must find it, though the process never wrote it."""
    trading.apply(policy(trading.cluster, injection={"writer": writer}), program(PUBLISHER, replicas=0))
    eventually(lambda: trading.is_injected("deployment/jules"), "it is injected")
    trading.kubectl("scale", "deployment/jules", "--replicas=1")

    def restarts() -> list[int]:
        found = [pod["status"].get("containerStatuses", []) for pod in trading.list("pods")]
        return [one["restartCount"] for statuses in found for one in statuses if one["ready"]]

    eventually(lambda: restarts() == [1], "the container was killed once and runs again")
    python = ("exec", "deployment/jules", "--", "python", "-c")
    records: list[list[Any]] = []

    def all_there() -> bool:
        records[:] = json.loads(trading.kubectl(*python, RECORDS))
        told = any(kind == "AUDIT_RECOVERED" and data["records"] > 0 for kind, data in records)
        # A writer in a process of its own may have written everything before the container went.
        return ["LIMIT_BREACH", {"number": EVENTS - 1}] in records and (told or writer == "ChildProcess")

    eventually(all_there, "the second process has written what the first one had accepted")
    assert [data["number"] for kind, data in records if kind == "LIMIT_BREACH"] == list(range(EVENTS))
    # The ring is where the operator mounted memory, and nowhere else; that of the killed process is gone.
    files = trading.kubectl("exec", "deployment/jules", "--", "ls", "/run/riskbus").split()
    assert len([name for name in files if name.endswith(".ring")]) == 1
    assert "tmpfs" in trading.kubectl("exec", "deployment/jules", "--", "df", "--output=fstype", "/run/riskbus")
    verify = ("--namespace", trading.name, "exec", "deployment/jules", "--", "riskbus", "verify", "/var/log/jules")
    assert "Nothing is wrong" in trading.cluster.kubectl(*verify, check=False)


def test_the_policy_tells_what_its_retention_adds_up_to(trading: Namespace) -> None:
    """From what the pod is really given and what really becomes of its volume, not from what the policy wants."""
    keeping = policy(trading.cluster, retention={"days": 2555}, validation={"interval": "10s"})
    trading.apply(keeping, program(OPENER))
    trading.wait_for("equities", "Ready", "Ready")

    def told() -> Object:
        found: Object = trading.get("riskauditpolicy/equities")["status"]
        return found

    eventually(lambda: "reclaimPolicy" in told()["volumes"][0], "what becomes of the volume is told")
    given = trading.kubectl("exec", "deployment/jules", "--", "printenv", "RISK_AUDIT_RETENTION_DAYS")
    assert told()["effectiveRetention"]["days"] == int(given) == 2555
    assert "  2555  " in trading.kubectl("get", "rap", "equities", "--output=wide")

    volume = trading.get("persistentvolumeclaim/jules-risk-audit")["spec"]["volumeName"]
    for reclaim, endangered in (("Retain", False), ("Delete", True)):  # and what ends is deleted with its claim
        change = json.dumps({"spec": {"persistentVolumeReclaimPolicy": reclaim}})
        trading.cluster.kubectl("patch", "persistentvolume", volume, f"--patch={change}")
        eventually(lambda: told()["volumes"][0]["reclaimPolicy"] == reclaim, f"{reclaim} is told")  # noqa: B023 -- called in this round only
        basis = "\n".join(told()["effectiveRetention"]["basis"])
        assert (f"set persistentVolumeReclaimPolicy of PersistentVolume {volume} to Retain" in basis) == endangered
