"""A policy is reconciled end to end on a real API server: put in, kept, and taken out again without a trace."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.cluster.conftest import install
from tests.cluster.handle import CommandError
from tests.cluster.local import prometheus_operator
from tests.cluster.operator_process import MADE, Namespace, Object, OperatorProcess, essence, policy, workload
from tests.cluster.waiting import eventually

if TYPE_CHECKING:
    from tests.cluster.handle import Cluster

WORKLOADS = [workload(), workload("StatefulSet", "jules")]


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
        pod = injected.template(name)
        container = pod["containers"][0]
        environment = {entry["name"]: entry.get("value") for entry in container["env"]}
        assert pod["volumes"] == [
            {"name": "risk-audit", "persistentVolumeClaim": {"claimName": claim}},
            {"name": "risk-audit-staging", "emptyDir": {"medium": "Memory", "sizeLimit": "128Mi"}},
        ]
        assert container["volumeMounts"] == [
            {"name": "risk-audit", "mountPath": "/var/log/jules"},
            {"name": "risk-audit-staging", "mountPath": "/run/riskbus"},
        ]
        assert environment["MINE"] == "1"
        assert environment["RISK_AUDIT_LOG_PATH"] == "/var/log/jules/risk_audit.jsonl"
        assert environment["RISK_AUDIT_POLICY"] == "equities"
        assert "ownerReferences" not in injected.get(f"persistentvolumeclaim/{claim}")["metadata"]


def test_workloads_may_write_reports_and_nothing_else(injected: Namespace) -> None:
    """A trading workload gets a token that is worth nothing to a thief."""

    def may(account: str) -> set[tuple[str, ...]]:
        who = f"--as=system:serviceaccount:{injected.name}:{account}"
        listed = injected.kubectl("auth", "can-i", "--list", who).splitlines()
        return {tuple(line.replace("[", " ").replace("]", " ").split()) for line in listed}

    assert may("default") - may("somebody-else") == {("riskauditreports.riskbus.io", "create", "get", "patch")}


def test_the_alert_rules_are_installed(injected: Namespace) -> None:
    """Evidence that nobody watches is lost unnoticed."""
    eventually(lambda: bool(injected.list("prometheusrules")), "the rules are there")
    groups = injected.list("prometheusrules")[0]["spec"]["groups"]
    assert {"AuditLogWriteFailure", "AuditLogVolumeSpace"} <= {
        rule["alert"] for group in groups for rule in group["rules"]
    }


@pytest.mark.parametrize("name", ["deployment/jules", "statefulset/ledger"])
@pytest.mark.parametrize("part", ["volumeMounts/0", "env/4"])
def test_drift_is_repaired(injected: Namespace, name: str, part: str) -> None:
    """Somebody takes the mount or the log's path out by hand: it comes back, and with it the evidence."""
    before = injected.template(name)
    removal = f'[{{"op":"remove","path":"/spec/template/spec/containers/0/{part}"}}]'
    injected.kubectl("patch", name, "--type=json", f"--patch={removal}")

    eventually(lambda: _entries(injected.template(name)) == _entries(before), f"{part} is back")


DRIFT = {
    "role/equities-risk-audit-report": '{"rules":[{"apiGroups":[""],"resources":["secrets"],"verbs":["get"]}]}',
    "rolebinding/equities-risk-audit-report": '{"subjects":[]}',
    "prometheusrule/equities-risk-audit": '{"spec":{"groups":[]}}',
    "persistentvolumeclaim/jules-risk-audit": '{"metadata":{"labels":{"riskbus.io/policy":null}}}',
}


@pytest.mark.parametrize("name", DRIFT)
def test_what_the_policy_made_is_put_right_when_somebody_changes_it(injected: Namespace, name: str) -> None:
    """A Role that was widened, or alerts that were silenced, must not stay so until somebody notices."""
    eventually(lambda: bool(injected.list("prometheusrules")), "everything is made")
    before = essence(injected.get(name))
    injected.kubectl("patch", name, "--type=merge", f"--patch={DRIFT[name]}")

    eventually(lambda: essence(injected.get(name)) == before, f"{name} is as it was")


@pytest.mark.parametrize("name", [name for name in DRIFT if not name.startswith("persistentvolumeclaim")])
def test_what_the_policy_made_comes_back_when_somebody_deletes_it(injected: Namespace, name: str) -> None:
    """Nobody has to know which objects belong to a policy to have them again."""
    eventually(lambda: bool(injected.list("prometheusrules")), "everything is made")
    before = injected.get(name)
    injected.kubectl("delete", name)

    injected.kubectl("wait", name, "--for=create", "--timeout=60s")
    assert essence(injected.get(name)) == essence(before)


def _entries(pod: Object) -> tuple[set[str], set[str]]:
    """What is mounted and set; in which order an entry comes back is the API server's choice."""
    container = pod["containers"][0]
    return {repr(mount) for mount in container["volumeMounts"]}, {repr(entry) for entry in container["env"]}


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize("obj", WORKLOADS, ids=lambda obj: obj["kind"])
def test_a_deleted_policy_leaves_the_workload_as_it_was_and_keeps_the_claim(here: Namespace, obj: Object) -> None:
    """Who tries the operator can go back; the evidence stays."""
    name = f"{obj['kind'].lower()}/jules"
    here.apply(obj)
    before = here.get(name)
    here.apply(policy(here.cluster))
    eventually(lambda: here.is_injected(name), "it is injected")
    here.kubectl("delete", "riskauditpolicy/equities", "--timeout=60s")
    after = here.get(name)
    assert after["spec"] == before["spec"]
    assert after["metadata"].get("annotations") == before["metadata"].get("annotations") | {
        key: value
        for key, value in after["metadata"]["annotations"].items()
        if key.startswith("deployment.kubernetes.io")
    }
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    assert "riskbus-operator" not in {entry["manager"] for entry in after["metadata"]["managedFields"]}
    assert [claim["metadata"]["name"] for claim in here.list("persistentvolumeclaims")] == ["jules-risk-audit"]
    assert here.list("roles") == []
    assert here.list("rolebindings") == []
    eventually(lambda: here.list("prometheusrules") == [], "the rules are gone")


@pytest.mark.parametrize("name", ["deployment/jules", "statefulset/ledger"])
def test_a_workload_that_is_not_selected_any_more_is_left_without_a_trace(injected: Namespace, name: str) -> None:
    """Changing a label is all it takes to leave."""
    injected.kubectl("label", name, "team-")
    eventually(lambda: not injected.is_injected(name), "the injection is gone")
    assert "riskbus-operator" not in {entry["manager"] for entry in injected.get(name)["metadata"]["managedFields"]}
    assert "volumes" not in injected.template(name)
    assert injected.template(name)["containers"][0]["env"] == [{"name": "MINE", "value": "1"}]
    (other,) = {"deployment/jules", "statefulset/ledger"} - {name}
    assert injected.is_injected(other)


@pytest.mark.usefixtures("operator")
def test_a_named_init_container_is_covered_and_given_back_without_a_trace(here: Namespace) -> None:
    """A checklist before the start needs the volume of what starts."""
    checked = workload()
    pod = checked["spec"]["template"]["spec"]
    pod["initContainers"] = [{**pod["containers"][0], "name": "doctor"}]
    here.apply(checked)
    before = here.template("deployment/jules")
    named = {"selector": {"matchLabels": {"team": "equities"}}, "containers": ["doctor", "jules"]}
    here.apply(policy(here.cluster, workloads=named))
    here.wait_for("equities", "Injected", "Injected")

    after = here.template("deployment/jules")
    assert after["initContainers"][0]["volumeMounts"] == after["containers"][0]["volumeMounts"]
    removal = '[{"op":"remove","path":"/spec/template/spec/initContainers/0/volumeMounts"}]'
    here.kubectl("patch", "deployment/jules", "--type=json", f"--patch={removal}")
    eventually(lambda: here.template("deployment/jules") == after, "the mount is back")
    here.kubectl("delete", "riskauditpolicy/equities", "--timeout=60s")
    assert here.template("deployment/jules") == before


@pytest.mark.usefixtures("operator")
def test_a_rollout_that_would_deadlock_is_refused_before_anything_is_touched(here: Namespace) -> None:
    """A ReadWriteOnce volume and a surge: the new pod waits for the old one, for ever (kubernetes #115997)."""
    here.apply(workload(replicas=1, strategy={"type": "RollingUpdate"}), policy(here.cluster))
    shown = here.wait_for("equities", "Injected", "RolloutWouldDeadlock")
    assert "Recreate" in shown["message"]
    assert not here.is_injected("deployment/jules")
    assert here.list("persistentvolumeclaims") == []


@pytest.mark.usefixtures("operator", "without_prometheus_operator")
def test_alert_rules_follow_when_prometheus_operator_comes_later(cluster: Cluster, here: Namespace) -> None:
    """Not every cluster has it: the condition says so and what to do, everything else works, and doing it is enough."""
    here.apply(workload(), policy(here.cluster))
    shown = here.wait_for("equities", "AlertsInstalled", "PrometheusOperatorNotInstalled")
    assert "install" in shown["message"]
    eventually(lambda: here.is_injected("deployment/jules"), "it is injected all the same")
    here.wait_for("equities", "Stalled", "Progressing")

    install(cluster, str(prometheus_operator.definitions()))

    here.wait_for("equities", "AlertsInstalled", "Installed")
    assert [rule["metadata"]["name"] for rule in here.list("prometheusrules")] == ["equities-risk-audit"]


def test_passes_over_an_unchanged_cluster_write_nothing(injected: Namespace, operator: OperatorProcess) -> None:
    """An operator that writes without need wakes every other controller, and hides the writes that matter."""
    passes = "riskbus_operator_reconcile_duration_seconds_count"

    def settled() -> bool:
        before, seen = injected.versions(*MADE, "riskauditpolicies"), operator.metric(passes)
        eventually(lambda: operator.metric(passes) >= seen + 6, "six more passes, here and in other namespaces")
        return injected.versions(*MADE, "riskauditpolicies") == before

    eventually(settled, "passes that change nothing", seconds=20)


@pytest.mark.usefixtures("operator")
def test_a_container_that_a_gitops_client_removes_is_let_go_by_the_policy_first(here: Namespace) -> None:
    """Fields of two managers keep a list's item alive, without its image: the limit that the documentation names."""
    two = workload()
    containers = two["spec"]["template"]["spec"]["containers"]
    containers.append({"name": "sidecar", "image": "localhost/pause:1"})
    gitops = ("apply", "--server-side", "--field-manager=gitops", "--filename", "-")
    here.kubectl(*gitops, stdin=json.dumps(two))
    here.apply(policy(here.cluster))
    eventually(lambda: here.is_injected("deployment/jules"), "it is injected")
    containers.pop()

    with pytest.raises(CommandError, match=r"containers\[1\]\.image: Required value"):
        here.kubectl(*gitops, stdin=json.dumps(two))
    narrowed = {"selector": {"matchLabels": {"team": "equities"}}, "containers": ["jules"]}
    here.apply(policy(here.cluster, workloads=narrowed))
    eventually(lambda: "env" not in here.template("deployment/jules")["containers"][1], "the sidecar is let go")

    here.kubectl(*gitops, stdin=json.dumps(two))

    assert [container["name"] for container in here.template("deployment/jules")["containers"]] == ["jules"]
    assert here.is_injected("deployment/jules")
