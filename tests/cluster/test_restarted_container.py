"""A process is killed in the middle of publishing: the next one in its pod finds everything that was accepted."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.cluster.operator_process import Namespace, policy
from tests.cluster.volume_user import IMAGE, USER
from tests.cluster.waiting import eventually

EVENTS = 3000
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


def publisher() -> dict[str, Any]:
    """A Deployment of one pod, restricted, that publishes as fast as it can and kills itself without a warning."""
    labels = {"app": "jules"}
    container = {
        "name": "jules",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", PUBLISHER],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "terminationGracePeriodSeconds": 0,
        "shareProcessNamespace": True,  # the first process of a namespace could not kill itself
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "jules", "labels": {**labels, "team": "equities"}},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


@pytest.mark.usefixtures("operator")
def test_what_a_killed_process_had_accepted_is_written_by_the_next_one_in_the_pod(here: Namespace) -> None:
    """`publish` returned for it, and the trade went on: an auditor must find it, though the process never wrote it."""
    here.cluster.build_image("example", IMAGE)
    here.kubectl("label", "namespace", here.name, "pod-security.kubernetes.io/enforce=restricted")
    here.apply(policy(here.cluster), publisher() | {"spec": publisher()["spec"] | {"replicas": 0}})
    eventually(lambda: here.is_injected("deployment/jules"), "it is injected")
    here.kubectl("scale", "deployment/jules", "--replicas=1")

    def restarts() -> list[int]:
        found = [pod["status"].get("containerStatuses", []) for pod in here.list("pods")]
        return [one["restartCount"] for statuses in found for one in statuses if one["ready"]]

    eventually(lambda: restarts() == [1], "the container was killed once and runs again")
    python = ("exec", "deployment/jules", "--", "python", "-c")
    records: list[tuple[str, dict[str, Any]]] = []

    def recovered() -> bool:
        records[:] = json.loads(here.kubectl(*python, RECORDS))
        return any(kind == "AUDIT_RECOVERED" for kind, _ in records)

    eventually(recovered, "the second process has written what the first one had accepted")
    assert [data["number"] for kind, data in records if kind == "LIMIT_BREACH"] == list(range(EVENTS))
    (told,) = [data for kind, data in records if kind == "AUDIT_RECOVERED"]
    assert told["records"] > 0
    # The ring is where the operator mounted memory, and nowhere else; that of the killed process is gone.
    assert here.kubectl("exec", "deployment/jules", "--", "ls", "/run/riskbus").count(".ring") == 1
    assert "tmpfs" in here.kubectl("exec", "deployment/jules", "--", "df", "--output=fstype", "/run/riskbus")
    verify = ("--namespace", here.name, "exec", "deployment/jules", "--", "riskbus", "verify", "/var/log/jules")
    said = here.cluster.kubectl(*verify, check=False)
    found = set(re.findall(r"^  [a-z ]+, ([a-z-]+): ", said, re.MULTILINE))
    # kill -9 may cut a write short: then the line is there unfinished, and whole in the next process's log.
    assert "Nothing is wrong" in said or found == {"torn"}
