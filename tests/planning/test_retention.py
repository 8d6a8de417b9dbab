"""What a policy's retention adds up to: what the library in the pods is given, and what it does not withstand."""

import pytest

from riskbus_operator.api.policy import EffectiveRetention
from riskbus_operator.policy.plan import plan
from riskbus_operator.policy.state import State
from riskbus_operator.policy.status import status
from tests.planning.manifests import Object, applied, claim, deployment, policy, state, user_sets, volume

FROM_A_SECRET = {"valueFrom": {"secretKeyRef": {"name": "settings", "key": "days"}}}


def injected(wanted: Object, *workloads: Object) -> list[Object]:
    """The policy and these workloads with its injection."""
    changes = plan(state(wanted, *workloads)).policies[0].changes
    patches = {one.obj["metadata"]["name"]: one.obj for one in changes if one.obj["kind"] == "Deployment"}
    return [wanted, *(applied(patches[obj["metadata"]["name"]], obj) for obj in workloads)]


def sets_days(workload: Object, **entry: object) -> Object:
    """The workload with a retention of its own."""
    return user_sets(workload, "env", {"name": "RISK_AUDIT_RETENTION_DAYS", **entry})


def of(gathered: State) -> EffectiveRetention:
    """The effective retention of the first policy; no test here is about one without any."""
    found = status(plan(gathered).policies[0], gathered, {}).effective_retention
    assert found is not None
    return found


def test_the_policys_days_are_what_the_pods_are_given() -> None:
    """The first question of an auditor, answered from what runs and not from what was wanted."""
    found = of(state(*injected(policy(retention={"days": 2555}), deployment())))

    assert found.days == 2555
    assert found.basis[0] == "spec.retention.days: 2555"


def test_without_days_the_librarys_own_hold_and_the_basis_says_so() -> None:
    """Nobody chose the number: who relies on it must see that."""
    found = of(state(*injected(policy(), deployment())))

    assert found.days == 1827
    assert "the library's own" in found.basis[0]
    assert "unless an image or an envFrom sets RISK_AUDIT_RETENTION_DAYS" in found.basis[0]


def test_a_workload_that_keeps_less_makes_the_retention_less_and_is_named() -> None:
    """A chain of evidence is as long as its shortest link; an entry that was skipped must not pass unseen."""
    skipping = policy(retention={"days": 2555}, injection={"onConflict": "Skip"})
    short = sets_days(deployment("intraday-anna"), value="30")

    found = of(state(*injected(skipping, deployment(), short)))

    assert found.days == 30
    assert any(
        "Deployment/intraday-anna, container jules: RISK_AUDIT_RETENTION_DAYS is 30" in one for one in found.basis
    )


def test_a_workloads_own_days_count_where_the_policy_names_none() -> None:
    """Then there is no conflict, and nothing else would show it."""
    assert of(state(*injected(policy(), sets_days(deployment(), value="30")))).days == 30


@pytest.mark.parametrize("entry", [FROM_A_SECRET, {"value": "five years"}, {"value": "9" * 30}], ids=str)
def test_days_that_cannot_be_known_are_not_guessed(entry: dict[str, object]) -> None:
    """No number is better than one that is wrong."""
    found = of(state(*injected(policy(), sets_days(deployment(), **entry))))

    assert found.days is None
    assert any("is not a number that stands in the template" in one for one in found.basis)


def test_what_is_wanted_and_not_yet_injected_does_not_count() -> None:
    """A policy that is only a shadow keeps nothing."""
    gathered = state(policy(mode="Shadow", retention={"days": 2555}), deployment())

    assert status(plan(gathered).policies[0], gathered, {}).effective_retention is None


def test_what_another_policy_gave_the_pods_is_not_this_ones() -> None:
    """Until the new policy's own settings are in the template, it has no days to speak of."""
    wanted, carrying = injected(policy("older", retention={"days": 30}), deployment())
    gathered = state(policy(retention={"days": 2555}), carrying)

    assert wanted["metadata"]["name"] == "older"
    assert status(plan(gathered).policies[0], gathered, {}).effective_retention is None


@pytest.mark.parametrize(("keep", "told"), [({}, "30"), ({"RISK_AUDIT_ROTATION_KEEP": "7"}, "7")])
def test_the_segments_that_stay_however_old_are_told(keep: dict[str, str], told: str) -> None:
    """Who counts on the space that old records free must know what is never freed."""
    audit = {"logPath": "/var/log/intraday-jules/risk_audit.jsonl", "env": keep}
    found = of(state(*injected(policy(audit=audit), deployment())))

    assert any(f"the newest {told} closed segments of a log stay" in one for one in found.basis)


@pytest.mark.parametrize(("reclaim", "endangered"), [("Delete", True), ("Retain", False)])
def test_a_volume_that_goes_with_its_claim_is_named_with_what_to_do(reclaim: str, *, endangered: bool) -> None:
    """Days on paper are worth nothing if one `kubectl delete pvc` takes the records away."""
    gathered = state(*injected(policy(), deployment()), claim(), volume(reclaim))
    shown = status(plan(gathered).policies[0], gathered, {})

    assert [one.reclaim_policy for one in shown.volumes] == [reclaim]
    warned = [one for one in of(gathered).basis if "whoever deletes the claim intraday-jules-risk-audit" in one]
    assert len(warned) == endangered
    assert all("of PersistentVolume pv-of-intraday-jules-risk-audit to Retain" in one for one in warned)


def test_a_long_story_is_cut_to_what_the_api_takes() -> None:
    """Twenty workloads that differ must not cost the policy its status."""
    names = [f"intraday-{number}" for number in range(20)]
    found = of(state(*injected(policy(), *(sets_days(deployment(name), value="30") for name in names))))

    assert (found.days, len(found.basis)) == (30, 16)
