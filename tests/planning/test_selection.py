"""Which workloads a policy covers, and who has those that two want."""

from typing import Any

import pytest

from riskbus_operator.api.workloads import LabelSelector
from riskbus_operator.policy.plan import plan
from riskbus_operator.policy.selection import selector_matches
from tests.planning.manifests import deployment, policy, state, stateful_set

LABELS = {"app": "jules", "tier": "front"}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({"matchLabels": {"app": "jules"}}, True),
        ({"matchLabels": {"app": "jules", "tier": "back"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "jules"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a"]}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["jules"]}]}, False),
        ({"matchExpressions": [{"key": "absent", "operator": "NotIn", "values": ["jules"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "absent", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "absent", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, False),
        ({"matchLabels": {"app": "jules"}, "matchExpressions": [{"key": "x", "operator": "Exists"}]}, False),
    ],
)
def test_selectors_mean_what_they_mean_in_kubernetes(selector: dict[str, Any], expected: bool) -> None:
    """Also that NotIn holds for what has no such label."""
    assert selector_matches(LabelSelector.parse(selector), LABELS) is expected


def covered(**workloads: Any) -> list[str]:
    """Workloads that a policy covers, of a Deployment and a StatefulSet."""
    (item,) = plan(state(policy(workloads=workloads), deployment("a"), stateful_set("b"))).policies
    return [str(found.key) for found in item.workloads]


def test_kinds_names_and_labels_narrow_the_selection() -> None:
    """Each says less, none says more."""
    assert covered(selector={"matchLabels": {"app": "intraday-jules"}}) == ["Deployment/a", "StatefulSet/b"]
    assert covered(kinds=["StatefulSet"], selector={"matchLabels": {"app": "intraday-jules"}}) == ["StatefulSet/b"]
    assert covered(names=["a"]) == ["Deployment/a"]


def test_of_two_policies_the_older_one_has_the_workload() -> None:
    """One workload, one log: and it does not change hands because somebody adds a policy."""
    old, young = policy("zebra", created="2026-01-01T00:00:00Z"), policy("aardvark", created="2026-01-02T00:00:00Z")

    items = {item.name: item for item in plan(state(young, old, deployment())).policies}

    assert items["zebra"].workloads[0].finding is None
    (finding,) = (found.finding for found in items["aardvark"].workloads)
    assert finding is not None
    assert finding.reason == "SelectedByOlderPolicy"
    assert "zebra" in finding.message


def test_a_shadow_policy_has_nothing_however_old() -> None:
    """Trying a policy out must not take a workload from the one that protects it."""
    shadow = policy("shadow", mode="Shadow", created="2025-01-01T00:00:00Z")

    items = {item.name: item for item in plan(state(shadow, policy(), deployment())).policies}

    assert items["intraday"].workloads[0].finding is None
    assert items["shadow"].workloads[0].finding is not None


def test_both_policies_give_report_access() -> None:
    """A blocked workload's report is how one learns what it writes to."""
    young = policy("young", created="2026-01-02T00:00:00Z")

    items = {item.name: item for item in plan(state(policy(), young, deployment())).policies}

    assert "apply RoleBinding/young-risk-audit-report" in [str(action) for action in items["young"].changes]
