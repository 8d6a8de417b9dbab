"""What a policy sets going, and in which order."""

import pytest

from riskbus_operator.policy.actions import ACCESS, ALERTS, PolicyPlan
from riskbus_operator.policy.plan import plan
from tests.planning.manifests import Object, applied, claim, deployment, policy, state, stateful_set


def only(*objects: Object, rules: bool = True) -> PolicyPlan:
    """The plan of the only policy among the objects."""
    (found,) = plan(state(*objects, rules=rules)).policies
    return found


def written(item: PolicyPlan) -> list[str]:
    """What the plan writes, as `verb Kind/name`."""
    return [str(action) for action in item.changes]


@pytest.mark.parametrize("workload", [deployment(), stateful_set()], ids=lambda workload: workload["kind"])
def test_a_workload_gets_its_claim_before_its_template_changes(workload: Object) -> None:
    """A pod whose claim does not exist stays Pending: for the workload, that is an outage."""
    item = only(policy(), workload)

    chain = next(chain for chain in item.chains if chain.subject == f"{workload['kind']}/intraday-jules")
    assert [str(action) for action in chain.actions] == [
        "apply PersistentVolumeClaim/intraday-jules-risk-audit",
        f"apply {workload['kind']}/intraday-jules",
    ]


def test_a_policy_also_makes_report_access_and_alert_rules() -> None:
    """A pod that may not report cannot show that it is fit, and nobody watches a policy all day."""
    item = only(policy(), deployment())

    chains = {chain.subject: [str(action) for action in chain.actions] for chain in item.chains}
    assert chains[ACCESS] == [
        "apply Role/intraday-risk-audit-report",
        "apply RoleBinding/intraday-risk-audit-report",
    ]
    assert chains[ALERTS] == ["apply PrometheusRule/intraday-risk-audit"]


def test_the_finalizer_goes_on_before_anything_else_is_written() -> None:
    """Killed in between, the operator must find again what it has to take out."""
    new = policy()
    del new["metadata"]["finalizers"]

    item = only(new, deployment())

    assert item.hold is not None
    assert item.hold.obj["metadata"]["finalizers"] == ["riskbus.io/policy"]
    assert item.hold.obj["metadata"]["uid"] == "uid-of-intraday"


def test_a_shadow_policy_gets_no_finalizer() -> None:
    """It changes nothing, so nothing has to be undone, and its deletion must not wait for an operator."""
    shadow = policy(mode="Shadow")
    del shadow["metadata"]["finalizers"]

    assert only(shadow, deployment()).hold is None


def test_the_patch_of_a_workload_is_pinned_to_its_uid() -> None:
    """Server-side apply creates what is missing: a deleted Deployment would come back without an image."""
    patches = [action.obj for action in only(policy(), deployment()).changes if action.obj["kind"] == "Deployment"]

    assert [patch["metadata"]["uid"] for patch in patches] == ["uid-of-intraday-jules"]


def test_only_the_operators_own_objects_are_applied_by_force() -> None:
    """In a workload, the user's word counts for more than ours."""
    forced = {action.obj["kind"]: action.force for action in only(policy(), deployment()).changes}

    assert forced == {
        "PersistentVolumeClaim": True,
        "Deployment": False,
        "Role": True,
        "RoleBinding": True,
        "PrometheusRule": True,
    }


def test_without_the_prometheus_operator_everything_else_is_planned() -> None:
    """Alert rules need a kind that many clusters lack; evidence does not."""
    assert "PrometheusRule" not in " ".join(written(only(policy(), deployment(), rules=False)))
    assert "apply Deployment/intraday-jules" in written(only(policy(), deployment(), rules=False))


def test_monitoring_can_be_switched_off() -> None:
    """Some have rules of their own."""
    assert "PrometheusRule" not in " ".join(written(only(policy(monitoring={"enabled": False}), deployment())))


def test_a_policy_that_covers_nothing_plans_nothing() -> None:
    """Roles without subjects and alerts without pods would be noise."""
    assert written(only(policy(workloads={"names": ["another"]}), deployment())) == []


def test_what_is_there_already_is_not_written_again() -> None:
    """A second run over an unchanged cluster writes nothing: watchers, audit logs and etcd stay quiet."""
    first = plan(state(policy(), deployment())).policies[0]
    live = [applied(action.obj) for action in first.changes if action.obj["kind"] != "Deployment"]
    injected = [applied(action.obj, deployment()) for action in first.changes if action.obj["kind"] == "Deployment"]

    again = plan(state(policy(), *injected, *live))

    assert written(again.policies[0]) == []
    assert again.policies[0].hold is None
    assert again.orphans == ()


def test_what_somebody_took_out_is_put_back() -> None:
    """Drift: an update that knows nothing of the policy drops the variable with the log's path."""
    first = plan(state(policy(), deployment())).policies[0]
    live = [
        applied(action.obj, deployment() if action.obj["kind"] == "Deployment" else None) for action in first.changes
    ]
    drifted = next(obj for obj in live if obj["kind"] == "Deployment")
    env = drifted["spec"]["template"]["spec"]["containers"][0]["env"]
    env[:] = [entry for entry in env if entry["name"] != "RISK_AUDIT_LOG_PATH"]

    assert written(plan(state(policy(), *live)).policies[0]) == ["apply Deployment/intraday-jules"]


@pytest.mark.parametrize(
    ("has", "asked", "requested"),
    [("50Gi", "60Gi", "60Gi"), ("80Gi", "60Gi", "80Gi"), ("51200Mi", "50Gi", "51200Mi"), ("1.5Ti", "50Gi", "1.5Ti")],
)
def test_a_claim_only_grows(has: str, asked: str, requested: str) -> None:
    """Kubernetes refuses to shrink a claim, and somebody who grew it by hand had a reason."""
    live = claim(resources={"requests": {"storage": has}})
    sized = policy(volume={"size": asked, "storageClassName": "fast-ssd"})

    (wanted,) = [action.obj for action in only(sized, deployment(), live).changes if "Claim" in action.obj["kind"]]

    assert wanted["spec"]["resources"]["requests"]["storage"] == requested


def test_a_claim_that_cannot_grow_does_not_hold_the_injection_up() -> None:
    """The StorageClass may not allow expansion; the template is repaired all the same."""
    grown = policy(volume={"size": "60Gi", "storageClassName": "fast-ssd"})

    chains = {chain.subject: len(chain.actions) for chain in only(grown, deployment(), claim()).chains}

    assert chains["PersistentVolumeClaim/intraday-jules-risk-audit"] == 1
    assert chains["Deployment/intraday-jules"] == 1


def test_an_object_of_somebody_else_is_not_taken_over() -> None:
    """A Role of that name may grant anything to anybody."""
    theirs = {"kind": "Role", "metadata": {"name": "intraday-risk-audit-report", "labels": {}}, "rules": []}

    item = only(policy(), deployment(), theirs)

    assert item.taken[ACCESS].reason == "NameTaken"
    assert not any(chain.subject == ACCESS for chain in item.chains)


def test_what_the_policy_no_longer_wants_is_deleted() -> None:
    """Rules that nobody asks for any more would alert for ever."""
    made = plan(state(policy(), deployment())).policies[0]
    live = [applied(action.obj) for action in made.changes if action.obj["kind"] == "PrometheusRule"]

    item = only(policy(monitoring={"enabled": False}), deployment(), *live)

    assert "delete PrometheusRule/intraday-risk-audit" in written(item)


def test_a_policy_that_does_not_fit_the_api_is_left_alone_and_stops_no_other() -> None:
    """An older CRD may have let it in; its workloads keep what they have."""
    broken = policy("broken", volume={"size": "enormous"})

    items = {item.name: item for item in plan(state(broken, policy(), deployment())).policies}

    assert items["broken"].changes == ()
    assert "spec.volume.size" in items["broken"].problem
    assert "apply Deployment/intraday-jules" in written(items["intraday"])
