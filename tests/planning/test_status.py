"""What a policy's status says: for each condition why, since when, and what to do."""

from dataclasses import replace
from typing import Any

import pytest

from riskbus_operator.api.conditions import Condition
from riskbus_operator.api.policy import PolicyStatus
from riskbus_operator.policy.actions import ACCESS, Outcome
from riskbus_operator.policy.checks import Finding
from riskbus_operator.policy.ownership import is_applied
from riskbus_operator.policy.plan import plan
from riskbus_operator.policy.state import State
from riskbus_operator.policy.status import halted_status, status, status_object
from tests.planning.manifests import NOW, Object, applied, claim, deployment, pod, policy, report, state

DENIED = Finding(reason="Forbidden", message="a webhook said no")


def settled(*objects: Object, rules: bool = True, workload: Object | None = None, **spec: Any) -> State:
    """A namespace in which everything that the policy wants is there, and its pod reports."""
    base = workload or deployment()
    changes = plan(state(policy(**spec), base, claim())).policies[0].changes
    live = [applied(one.obj, base if one.obj["kind"] == base["kind"] else claim()) for one in changes]
    kinds = {obj["kind"] for obj in live}
    if base["kind"] not in kinds:
        live.append(base)
    return state(policy(**spec), report(), *live, *objects, pods=[pod()], rules=rules)


def said(found: PolicyStatus) -> dict[str, tuple[str, str]]:
    """Status and reason by condition."""
    return {one.type: (one.status, one.reason) for one in found.conditions}


def message(found: PolicyStatus, condition: str) -> str:
    """A condition's message."""
    return next(one.message for one in found.conditions if one.type == condition)


def of(gathered: State, outcomes: dict[str, Outcome] | None = None) -> PolicyStatus:
    """The status of the first policy."""
    return status(plan(gathered).policies[0], gathered, outcomes or {})


def test_a_policy_is_ready_when_every_pod_writes_to_durable_storage() -> None:
    """The whole point in one column."""
    found = of(settled())

    assert said(found) == {
        "Ready": ("True", "Ready"),
        "StorageReady": ("True", "ClaimsBound"),
        "Injected": ("True", "Injected"),
        "MountsValidated": ("True", "AllPodsValid"),
        "AlertsInstalled": ("True", "Installed"),
        "Reconciling": ("False", "UpToDate"),
        "Stalled": ("False", "Progressing"),
    }
    assert found.workloads is not None
    assert found.workloads.to_api() == {"matched": 1, "injected": 1, "pending": 0, "blocked": 0}
    assert [(one.claim, one.phase, one.capacity, one.used_percent) for one in found.volumes] == [
        ("intraday-jules-risk-audit", "Bound", "50Gi", 25)
    ]
    assert found.observed_generation == 3


def test_missing_prometheus_rules_do_not_make_a_policy_unready() -> None:
    """The evidence is as durable without alerts; the condition says what to install."""
    found = of(settled(rules=False))

    assert said(found)["Ready"] == ("True", "Ready")
    assert said(found)["AlertsInstalled"] == ("False", "PrometheusOperatorNotInstalled")
    assert "install" in message(found, "AlertsInstalled")


def test_no_alerts_are_spoken_of_where_nobody_wants_any() -> None:
    """A condition that means nothing is left out."""
    assert "AlertsInstalled" not in said(of(settled(monitoring={"enabled": False})))


def test_an_invalid_mount_makes_the_policy_unready_with_the_pods_own_reason() -> None:
    """Somebody mounts an emptyDir: the policy says so, and what to do."""
    bad = report(verdict="Invalid", reason="EphemeralEmptyDir", message="mount a claim instead")
    found = of(replace(settled(), reports={"intraday-jules-0": bad}))

    assert said(found)["Ready"] == ("False", "EphemeralEmptyDir")
    assert "mount a claim instead" in message(found, "Ready")


def test_validation_that_is_not_required_does_not_hold_ready_up() -> None:
    """A team may bring the library in later than the volume."""
    found = of(settled(validation={"required": False}))
    silent = state(*plan_objects(validation={"required": False}), pods=[pod()])

    assert said(found)["Ready"][0] == "True"
    assert said(of(silent))["MountsValidated"] == ("False", "NotReporting")
    assert said(of(silent))["Ready"] == ("True", "Ready")


def plan_objects(**spec: Any) -> list[Object]:
    """The policy and everything it wants, settled."""
    gathered = settled(**spec)
    made = [*gathered.claims.values(), *gathered.roles.values(), *gathered.role_bindings.values()]
    rules = list((gathered.rules or {}).values())
    return [*gathered.policies, *(workload.obj for workload in gathered.workloads.values()), *made, *rules]


def test_a_policy_without_workloads_says_how_to_get_one() -> None:
    """The most frequent mistake of all is a label."""
    found = of(state(policy(), deployment() | {"metadata": {"name": "x", "labels": {}}}))

    assert said(found)["Ready"] == ("False", "NoWorkloads")
    assert "spec.workloads" in message(found, "Ready")


def test_a_blocked_workload_stalls_the_policy() -> None:
    """It stays so until somebody does something."""
    found = of(state(policy(), deployment(replicas=2)))

    assert said(found)["Injected"] == ("False", "RolloutWouldDeadlock")
    assert said(found)["Stalled"] == ("True", "RolloutWouldDeadlock")
    assert said(found)["Ready"] == ("False", "RolloutWouldDeadlock")
    assert found.workloads is not None
    assert found.workloads.blocked == 1
    assert found.failures[0].pod == "Deployment/intraday-jules"


def test_a_claim_that_is_not_bound_says_where_to_look() -> None:
    """WaitForFirstConsumer looks like trouble and is none."""
    pending = claim() | {"status": {"phase": "Pending"}}
    found = of(state(policy(), deployment(), pending))

    assert said(found)["StorageReady"] == ("False", "ClaimPending")
    assert "kubectl describe pvc" in message(found, "StorageReady")


def test_a_refused_write_is_shown_with_its_words() -> None:
    """Webhooks and quotas explain themselves, to whom it may concern."""
    found = of(state(policy(), deployment()), {"Deployment/intraday-jules": Outcome(failure=DENIED)})

    assert said(found)["Injected"] == ("False", "Forbidden")
    assert said(found)["Stalled"] == ("True", "Forbidden")
    assert "a webhook said no" in message(found, "Ready")


def test_a_conflict_that_is_tried_again_is_no_error() -> None:
    """Two writers at the same moment are business as usual."""
    outcome = Outcome(failure=Finding(reason="Conflict", message="it changed"), retriable=True)
    found = of(state(policy(), deployment()), {"Deployment/intraday-jules": outcome})

    assert said(found)["Stalled"][0] == "False"
    assert said(found)["Reconciling"] == ("True", "Retrying")
    assert found.failures == ()


def test_refused_report_access_makes_the_policy_unready() -> None:
    """Without it no pod could report."""
    gathered = settled()

    assert said(of(gathered, {ACCESS: Outcome(failure=DENIED)}))["Ready"] == ("False", "Forbidden")


@pytest.mark.parametrize(("spec", "reason"), [({"paused": True}, "Paused"), ({"mode": "Shadow"}, "Shadow")])
def test_what_waits_is_shown_and_how_to_let_it_go(spec: dict[str, Any], reason: str) -> None:
    """Neither a paused nor a shadow policy may look as if it protected anything."""
    found = of(state(policy(**spec), deployment()))

    assert said(found)["Ready"] == ("False", reason)
    assert "set spec." in message(found, "Ready")


def test_a_rollout_is_shown_as_pending() -> None:
    """The template is right, the pods are not yet."""
    rolling = deployment()
    rolling["metadata"]["generation"] = 2
    found = of(settled(workload=rolling))

    assert found.workloads is not None
    assert found.workloads.pending == 1
    assert said(found)["Reconciling"] == ("True", "RolloutInProgress")


def test_a_transition_time_changes_only_with_the_status() -> None:
    """Since when is the first question of an incident."""
    earlier = Condition(
        type="Ready",
        status="True",
        reason="Before",
        message="",
        last_transition_time=NOW.replace(year=2025),
        observed_generation=1,
    )
    gathered = settled()
    gathered.policies[0]["status"] = PolicyStatus(
        conditions=(earlier, earlier.model_copy(update={"type": "Stalled"}))
    ).to_api()

    times = {one.type: one.last_transition_time.year for one in of(gathered).conditions}

    assert (times["Ready"], times["Stalled"]) == (2025, 2026)


def test_the_same_status_is_not_written_twice() -> None:
    """A status that is written on every pass wakes every watcher on every pass."""
    gathered = settled()
    (item,) = plan(gathered).policies
    wanted = status_object(item, of(gathered))
    live = applied(wanted)
    for entry in live["metadata"]["managedFields"]:
        entry["subresource"] = "status"

    assert is_applied(wanted, live, subresource="status")


def test_a_policy_that_cannot_be_read_says_what_is_wrong_with_it() -> None:
    """It may have been let in by an older CRD."""
    found = of(state(policy(volume={"size": "enormous"})))

    assert said(found)["Ready"] == ("False", "InvalidSpec")
    assert said(found)["Stalled"] == ("True", "InvalidSpec")
    assert "spec.volume.size" in message(found, "Ready")


def test_a_status_that_somebody_else_wrote_is_begun_anew() -> None:
    """Nonsense in it must not stop the operator."""
    odd = policy()
    odd["status"] = {"conditions": [{"type": "Ready"}]}

    assert said(of(state(odd, deployment())))["Ready"][0] == "False"


def test_a_deletion_that_hangs_says_why() -> None:
    """A finalizer without an explanation is an operator's worst habit."""
    gone = policy()
    gone["metadata"]["deletionTimestamp"] = "2026-01-15T14:00:00Z"

    found = of(state(gone), {"Deployment/intraday-jules": Outcome(failure=DENIED)})

    assert said(found)["Ready"] == ("False", "Deleting")
    assert "a webhook said no" in message(found, "Ready")


def test_a_refused_status_is_replaced_by_one_that_says_so() -> None:
    """Otherwise the policy would show what was true long ago."""
    gathered = settled()

    found = halted_status(plan(gathered).policies[0], NOW, "StatusRefused", "the CRDs are too old")

    assert said(found) == {
        "Ready": ("False", "StatusRefused"),
        "Reconciling": ("False", "StatusRefused"),
        "Stalled": ("True", "StatusRefused"),
    }
