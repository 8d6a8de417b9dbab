"""A policy that holds back: Shadow only tells, paused only waits, and conflicts are the user's to decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.operator_process import MADE, Namespace, Object, OperatorProcess, policy, workload
from tests.cluster.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

EVERYTHING = (*MADE, "pods", "replicasets", "configmaps", "secrets", "serviceaccounts", "services")
PASSES = "riskbus_operator_reconcile_duration_seconds_count"
MINE = {"name": "RISK_AUDIT_DURABILITY", "value": "os"}


@pytest.fixture
def after_passes(operator: OperatorProcess) -> Callable[[], None]:
    """Waits until the operator has looked again, several times."""

    def wait() -> None:
        seen = operator.metric(PASSES)
        eventually(lambda: operator.metric(PASSES) >= seen + 6, "six more passes, here and in other namespaces")

    return wait


def with_a_mount_of_its_own() -> Object:
    """A Deployment that mounts an emptyDir where the audit log goes."""
    mine = workload()
    pod = mine["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "scratch", "emptyDir": {}}]
    pod["containers"][0]["volumeMounts"] = [{"name": "scratch", "mountPath": "/var/log/jules"}]
    return mine


def with_a_variable_of_its_own() -> Object:
    """A Deployment that chooses its durability itself."""
    mine = workload()
    mine["spec"]["template"]["spec"]["containers"][0]["env"].append(MINE)
    return mine


@pytest.mark.usefixtures("operator")
def test_a_shadow_tells_what_it_would_do_and_changes_nothing(here: Namespace, after_passes: Callable[[], None]) -> None:
    """The first thing that a careful team tries on a production namespace."""
    here.apply(workload(), workload("StatefulSet", "ledger"))
    eventually(lambda: bool(here.list("serviceaccounts")), "the namespace is complete")
    before = here.versions(*EVERYTHING)
    here.apply(policy(here.cluster, mode="Shadow"))

    told = here.wait_for("equities", "Injected", "Shadow")
    after_passes()

    assert here.versions(*EVERYTHING) == before
    for part in ("Deployment/jules", "StatefulSet/ledger", "would be injected", "set spec.mode to Enforce"):
        assert part in told["message"]
    # Claim and template of each workload, Role, RoleBinding and alert rules.
    assert here.condition("equities", "Reconciling")["message"] == "7 changes are not made"
    assert "finalizers" not in here.get("riskauditpolicy/equities")["metadata"]


@pytest.mark.usefixtures("operator")
def test_a_shadow_tells_what_the_api_server_would_refuse(here: Namespace) -> None:
    """The dry run is the API server's own: quotas and admission policies have their say before the day it matters."""
    here.kubectl("create", "quota", "no-claims", "--hard=persistentvolumeclaims=0")
    eventually(lambda: "status" in here.get("resourcequota/no-claims"), "the quota is known")
    here.apply(workload(), policy(here.cluster, mode="Shadow"))

    told = here.wait_for("equities", "Stalled", "Forbidden")

    assert "exceeded quota: no-claims" in told["message"]


@pytest.mark.usefixtures("operator")
def test_a_shadow_that_is_enforced_does_what_it_told(here: Namespace) -> None:
    """Going live is one field."""
    here.apply(workload(), policy(here.cluster, mode="Shadow"))
    here.wait_for("equities", "Injected", "Shadow")

    here.apply(policy(here.cluster))

    eventually(lambda: here.is_injected("deployment/jules"), "it is injected")
    here.wait_for("equities", "Injected", "Injected")


@pytest.mark.usefixtures("operator")
def test_a_paused_policy_leaves_everything_until_it_goes_on(here: Namespace, after_passes: Callable[[], None]) -> None:
    """While somebody works on the namespace by hand, nothing moves under their fingers."""
    here.apply(workload())
    before = here.versions(*MADE)
    here.apply(policy(here.cluster, paused=True))
    told = here.wait_for("equities", "Injected", "Paused")
    after_passes()

    assert here.versions(*MADE) == before
    assert "set spec.paused to false" in told["message"]

    here.apply(policy(here.cluster, paused=False))
    eventually(lambda: here.is_injected("deployment/jules"), "it goes on")


@pytest.mark.usefixtures("operator")
def test_a_paused_policy_repairs_no_drift(here: Namespace, after_passes: Callable[[], None]) -> None:
    """Who takes the mount out for a moment must not race the operator; Ready says that something waits."""
    here.apply(workload(), policy(here.cluster))
    eventually(lambda: here.is_injected("deployment/jules"), "it is injected")
    here.apply(policy(here.cluster, paused=True))
    removal = '[{"op":"remove","path":"/spec/template/spec/containers/0/volumeMounts"}]'
    here.kubectl("patch", "deployment/jules", "--type=json", f"--patch={removal}")

    here.wait_for("equities", "Injected", "Paused")
    after_passes()

    assert "volumeMounts" not in here.template("deployment/jules")["containers"][0]
    assert here.condition("equities", "Ready")["status"] == "False"


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize(
    ("mine", "reason", "named"),
    [
        (with_a_mount_of_its_own(), "MountConflict", "emptyDir scratch at /var/log/jules"),
        (with_a_variable_of_its_own(), "EnvConflict", "RISK_AUDIT_DURABILITY"),
    ],
    ids=["mount", "variable"],
)
def test_on_conflict_the_whole_workload_is_left_and_the_condition_says_who_is_in_the_way(
    here: Namespace, mine: Object, reason: str, named: str
) -> None:
    """Half an injection would look like protection; the user's own word is never overridden."""
    here.apply(mine)
    before = here.get("deployment/jules")["spec"]
    here.apply(policy(here.cluster))

    told = here.wait_for("equities", "Injected", reason)

    assert named in told["message"]
    assert here.condition("equities", "Ready")["status"] == "False"
    assert here.get("deployment/jules")["spec"] == before
    assert here.list("persistentvolumeclaims") == []


@pytest.mark.usefixtures("operator")
def test_with_skip_the_users_entry_stays_and_the_rest_is_injected(here: Namespace) -> None:
    """And when the policy goes, the user's entry is still there."""
    here.apply(with_a_variable_of_its_own())
    before = here.template("deployment/jules")
    here.apply(policy(here.cluster, injection={"onConflict": "Skip"}))

    told = here.wait_for("equities", "Injected", "Injected")

    assert "1 entries of their own were left as they are" in told["message"]
    assert "RISK_AUDIT_DURABILITY" in told["message"]
    injected = here.template("deployment/jules")["containers"][0]["env"]
    assert [entry for entry in injected if entry["name"] == MINE["name"]] == [MINE]
    assert here.is_injected("deployment/jules")
    here.kubectl("delete", "riskauditpolicy/equities", "--timeout=60s")
    assert here.template("deployment/jules") == before


@pytest.mark.usefixtures("operator")
def test_with_skip_a_mount_of_the_users_stays_and_no_claim_is_mounted(here: Namespace) -> None:
    """The settings still come; that the directory is not durable is for the pod's report to say."""
    here.apply(with_a_mount_of_its_own(), policy(here.cluster, injection={"onConflict": "Skip"}))

    here.wait_for("equities", "Injected", "Injected")

    pod = here.template("deployment/jules")
    assert [volume["name"] for volume in pod["volumes"]] == ["scratch", "risk-audit-staging"]
    assert {entry["name"] for entry in pod["containers"][0]["env"]} >= {"MINE", "RISK_AUDIT_LOG_PATH"}
