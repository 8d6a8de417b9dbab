"""A policy is reconciled end to end on a real API server: put in, kept, and taken out again without a trace."""

from __future__ import annotations

import random
import signal
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.cluster.operator_process import Namespace, Object, OperatorProcess, essence, eventually, policy, workload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster.handle import Cluster

MADE = ("deployments", "statefulsets", "persistentvolumeclaims", "roles", "rolebindings", "prometheusrules")


@pytest.fixture
def here(cluster: Cluster, namespace: str) -> Namespace:
    """The test's own namespace."""
    return Namespace(cluster, namespace)


@pytest.fixture
def operator(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[OperatorProcess]:
    """A running operator; what it logged is shown when the test fails."""
    log = tmp_path / "operator.log"
    process = OperatorProcess(cluster, namespace, log)
    process.start()
    yield process
    process.end()
    print(log.read_text())  # noqa: T201 - pytest shows it with a failure


@pytest.fixture
def injected(here: Namespace, operator: OperatorProcess) -> Namespace:
    """A namespace whose Deployment and StatefulSet carry the injection of the policy `equities`."""
    here.apply(workload(), workload("StatefulSet", "ledger"), policy(here.cluster))
    for name in ("deployment/jules", "statefulset/ledger"):
        eventually(partial(here.is_injected, name), f"{name} is injected")
    assert operator.alive
    return here


def test_a_policy_gives_deployments_and_stateful_sets_a_claim_a_mount_and_the_environment(injected: Namespace) -> None:
    """This is what the product is for."""
    for name, claim in (("deployment/jules", "jules-risk-audit"), ("statefulset/ledger", "ledger-risk-audit")):
        pod = injected.get(name)["spec"]["template"]["spec"]
        container = pod["containers"][0]
        environment = {entry["name"]: entry.get("value") for entry in container["env"]}
        assert pod["volumes"] == [{"name": "risk-audit", "persistentVolumeClaim": {"claimName": claim}}]
        assert container["volumeMounts"] == [{"name": "risk-audit", "mountPath": "/var/log/jules"}]
        assert environment["MINE"] == "1"
        assert environment["RISK_AUDIT_LOG_PATH"] == "/var/log/jules/risk_audit.jsonl"
        assert environment["RISK_AUDIT_POLICY"] == "equities"
        assert "ownerReferences" not in injected.get(f"persistentvolumeclaim/{claim}")["metadata"]


def test_workloads_may_write_reports_and_nothing_else(injected: Namespace) -> None:
    """A trading workload gets a token that is worth nothing to a thief."""
    account = f"system:serviceaccount:{injected.name}:default"
    may = injected.cluster.kubectl("auth", "can-i", "--list", f"--as={account}", "--namespace", injected.name)
    granted = [line.split() for line in may.splitlines() if "riskbus.io" in line]
    assert [line[0] for line in granted] == ["riskauditreports.riskbus.io"]
    assert all(verb in "".join(granted[0]) for verb in ("create", "get", "patch"))
    assert "delete" not in "".join(granted[0])


def test_the_alert_rules_are_installed(injected: Namespace) -> None:
    """Evidence that nobody watches is lost unnoticed."""
    eventually(lambda: bool(injected.list("prometheusrules")), "the rules are there")
    groups = injected.list("prometheusrules")[0]["spec"]["groups"]
    assert {"AuditLogWriteFailure", "AuditLogVolumeSpace"} <= {
        rule["alert"] for group in groups for rule in group["rules"]
    }


def test_drift_is_repaired(injected: Namespace) -> None:
    """Somebody takes the mount out by hand: it comes back, and with it the evidence."""
    removal = '[{"op":"remove","path":"/spec/template/spec/containers/0/volumeMounts"}]'
    injected.kubectl("patch", "deployment/jules", "--type=json", f"--patch={removal}")

    def mounted() -> bool:
        return "volumeMounts" in injected.get("deployment/jules")["spec"]["template"]["spec"]["containers"][0]

    eventually(mounted, "the mount is back")


@pytest.mark.usefixtures("operator")
def test_a_deleted_policy_leaves_the_workload_as_it_was_and_keeps_the_claim(here: Namespace) -> None:
    """Who tries the operator can go back; the evidence stays."""
    here.apply(workload())
    before = here.get("deployment/jules")
    here.apply(policy(here.cluster))
    eventually(lambda: here.is_injected("deployment/jules"), "it is injected")
    here.kubectl("delete", "riskauditpolicy/equities", "--timeout=60s")
    after = here.get("deployment/jules")
    assert after["spec"] == before["spec"]
    assert after["metadata"].get("annotations") == before["metadata"].get("annotations") | {
        key: value
        for key, value in after["metadata"]["annotations"].items()
        if key.startswith("deployment.kubernetes.io")
    }
    assert "riskbus-operator" not in {entry["manager"] for entry in after["metadata"]["managedFields"]}
    assert [claim["metadata"]["name"] for claim in here.list("persistentvolumeclaims")] == ["jules-risk-audit"]
    assert here.list("roles") == []
    eventually(lambda: here.list("prometheusrules") == [], "the rules are gone")


def test_a_workload_that_is_not_selected_any_more_is_left_without_a_trace(injected: Namespace) -> None:
    """Changing a label is all it takes to leave."""
    injected.kubectl("label", "deployment/jules", "team-")
    eventually(lambda: not injected.is_injected("deployment/jules"), "the injection is gone")
    managers = {entry["manager"] for entry in injected.get("deployment/jules")["metadata"]["managedFields"]}
    assert "riskbus-operator" not in managers
    assert injected.is_injected("statefulset/ledger")


@pytest.mark.usefixtures("operator")
def test_a_mount_of_the_users_is_never_overridden(here: Namespace) -> None:
    """The policy says who is in the way and what to do; the workload stays exactly as it is."""
    mine = workload()
    pod = mine["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "scratch", "emptyDir": {}}]
    pod["containers"][0]["volumeMounts"] = [{"name": "scratch", "mountPath": "/var/log/jules"}]
    here.apply(mine)
    before = here.get("deployment/jules")["spec"]
    here.apply(policy(here.cluster))
    shown = here.wait_for("equities", "Injected", "MountConflict")
    assert "scratch" in shown["message"]
    assert here.condition("equities", "Ready")["status"] == "False"
    assert here.get("deployment/jules")["spec"] == before


@pytest.mark.usefixtures("operator")
def test_a_rollout_that_would_deadlock_is_refused_before_anything_is_touched(here: Namespace) -> None:
    """A ReadWriteOnce volume and a surge: the new pod waits for the old one, for ever (kubernetes #115997)."""
    here.apply(workload(replicas=1, strategy={"type": "RollingUpdate"}), policy(here.cluster))
    shown = here.wait_for("equities", "Injected", "RolloutWouldDeadlock")
    assert "Recreate" in shown["message"]
    assert not here.is_injected("deployment/jules")
    assert here.list("persistentvolumeclaims") == []


@pytest.mark.usefixtures("operator", "without_prometheus_operator")
def test_without_prometheus_operator_everything_else_works(here: Namespace) -> None:
    """Not every cluster has it; the condition says so and what to do."""
    here.apply(workload(), policy(here.cluster))
    shown = here.wait_for("equities", "AlertsInstalled", "PrometheusOperatorNotInstalled")
    assert "install" in shown["message"]
    eventually(lambda: here.is_injected("deployment/jules"), "it is injected all the same")


def test_passes_over_an_unchanged_cluster_write_nothing(injected: Namespace, operator: OperatorProcess) -> None:
    """An operator that writes without need wakes every other controller, and hides the writes that matter."""
    passes = "riskbus_operator_reconcile_duration_seconds_count"

    def settled() -> bool:
        before, seen = _versions(injected), operator.metric(passes)
        eventually(lambda: operator.metric(passes) >= seen + 3, "three more passes")
        return _versions(injected) == before

    eventually(settled, "three passes that change nothing", limit=10)


def test_an_operator_that_is_killed_again_and_again_ends_where_one_that_is_not_ends(
    cluster: Cluster, here: Namespace, namespace: str, tmp_path: Path
) -> None:
    """`kill -9` at ten random moments: a pass can be cut off anywhere and begun anew."""
    process = OperatorProcess(cluster, namespace, tmp_path / "operator.log")
    chance, pause = random.Random(), threading.Event()  # noqa: S311 - moments, not secrets
    here.apply(workload(), workload("StatefulSet", "ledger"), policy(cluster))
    for _ in range(10):
        process.start()
        pause.wait(chance.uniform(0.5, 2.5))  # the one thing under test is the moment
        process.end(signal.SIGKILL)
    cut_off = _settled(here, process)
    here.kubectl("delete", "deployment,statefulset,persistentvolumeclaim,role,rolebinding,prometheusrule", "--all")
    here.kubectl("delete", "riskauditpolicy", "--all", "--wait=false")
    process.start()
    eventually(lambda: here.list("riskauditpolicies") == [], "the policy is gone")
    process.end()
    here.apply(workload(), workload("StatefulSet", "ledger"), policy(cluster))
    assert _settled(here, process) == cut_off


def _settled(here: Namespace, process: OperatorProcess) -> list[Object]:
    """Let the operator come to rest, end it, and return everything that it works on."""
    process.start()
    eventually(lambda: here.condition("equities", "Injected").get("status") == "True", "everything is injected")
    eventually(lambda: bool(here.list("prometheusrules")), "the rules are there")
    process.end()
    return [essence(obj) for kind in MADE for obj in here.list(kind)]


def _versions(here: Namespace) -> dict[str, str]:
    kinds = (*MADE, "riskauditpolicies")
    found = [obj for kind in kinds for obj in here.list(kind)]
    return {f"{obj['kind']}/{obj['metadata']['name']}": obj["metadata"]["resourceVersion"] for obj in found}
