"""Taking the injection out: when, and when not."""

from typing import Any

from riskbus_operator.policy.plan import plan
from riskbus_operator.policy.state import State
from tests.planning.manifests import Object, applied, deployment, policy, state


def injected(**spec: Any) -> Object:
    """The Deployment after the policy `intraday` was carried out."""
    changes = plan(state(policy(**spec), deployment())).policies[0].changes
    (patch,) = (action.obj for action in changes if action.obj["kind"] == "Deployment")
    return applied(patch, deployment())


def deleted(**spec: Any) -> Object:
    """The policy, after its user deleted it."""
    gone = policy(**spec)
    gone["metadata"]["deletionTimestamp"] = "2026-01-15T14:00:00Z"
    return gone


def removed(found: State) -> list[str]:
    """Under which policies the workload's injection is taken out; "" for none that exists."""
    planned = plan(found)
    chains = [(item.name, chain) for item in planned.policies for chain in item.chains]
    chains += [("", chain) for chain in planned.orphans]
    return [
        name
        for name, chain in chains
        for action in chain.actions
        if action.obj["kind"] == "Deployment" and "spec" not in action.obj
    ]


def test_deleting_the_policy_takes_it_out_before_the_finalizer_goes() -> None:
    """Otherwise nothing would remember to."""
    (item,) = plan(state(deleted(), injected())).policies

    assert removed(state(deleted(), injected())) == ["intraday"]
    assert item.release is not None
    assert item.hold is None


def test_a_deleted_policy_takes_its_objects_with_it_but_never_a_claim() -> None:
    """Evidence outlives whoever asked for it."""
    changes = plan(state(policy(), deployment())).policies[0].changes
    live = [applied(action.obj) for action in changes if action.obj["kind"] != "Deployment"]

    (item,) = plan(state(deleted(), *live)).policies

    assert sorted(str(action) for action in item.changes) == [
        "delete PrometheusRule/intraday-risk-audit",
        "delete Role/intraday-risk-audit-report",
        "delete RoleBinding/intraday-risk-audit-report",
    ]


def test_a_workload_that_is_no_longer_selected_is_given_back() -> None:
    """A change of the selector is a decision too."""
    assert removed(state(policy(workloads={"names": ["another"]}), injected())) == ["intraday"]


def test_opting_out_gives_the_workload_back() -> None:
    """The label works at any time."""
    own = injected()
    own["metadata"]["labels"]["riskbus.io/inject"] = "false"

    assert removed(state(policy(), own)) == ["intraday"]


def test_an_injection_whose_policy_is_gone_is_taken_out_all_the_same() -> None:
    """Somebody took the finalizer off by hand while the operator was down."""
    assert removed(state(injected())) == [""]


def test_nothing_is_taken_out_of_a_workload_that_has_become_blocked() -> None:
    """Scaled to two replicas it must not lose the volume that it writes to."""
    scaled = injected()
    scaled["spec"]["replicas"] = 2

    assert removed(state(policy(), scaled)) == []


def test_a_policy_that_turns_into_a_shadow_changes_nothing() -> None:
    """Shadow means that nothing is changed; also not back."""
    assert removed(state(policy(mode="Shadow"), injected())) == []


def test_a_policy_that_cannot_be_read_keeps_what_it_injected() -> None:
    """A typing error must not take the audit volume away."""
    assert removed(state(policy(volume={"size": "enormous"}), injected())) == []


def test_a_second_policy_takes_over_in_one_step() -> None:
    """Two applies would be two rollouts, with trading stopped twice."""
    second = policy("second", created="2026-02-01T00:00:00Z")

    items = {item.name: item for item in plan(state(deleted(), second, injected())).policies}

    assert removed(state(deleted(), second, injected())) == []
    assert "apply Deployment/intraday-jules" in [str(action) for action in items["second"].changes]
    assert items["intraday"].release is not None


def test_a_deleted_policy_cleans_up_even_if_it_is_paused() -> None:
    """Otherwise its deletion would hang."""
    (item,) = plan(state(deleted(paused=True), injected())).policies

    assert not item.paused
    assert removed(state(deleted(paused=True), injected())) == ["intraday"]


def test_a_deleted_policy_cleans_up_even_if_it_cannot_be_read() -> None:
    """What to take out is written in the workload; the spec is not needed for it."""
    assert removed(state(deleted(volume={"size": "enormous"}), injected())) == ["intraday"]


def test_a_workload_that_was_never_injected_is_never_written() -> None:
    """Most workloads of a namespace are none of the operator's business."""
    assert removed(state(deployment())) == []
