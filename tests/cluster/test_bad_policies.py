"""The API server itself refuses bad policies, with a message that says what to write instead."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from riskbus_operator.api.policy import RiskAuditPolicy
from tests.cluster.handle import CommandError
from tests.policy_api.examples import BAD, MISSING, VARIANTS, Bad, changed

if TYPE_CHECKING:
    from tests.cluster.handle import Cluster

_NOWHERE = "default"  # for dry runs alone: nothing is made there
_SIZE = "spec.volume.size"
_RETENTION = "spec.retention"
_LOCKED = {"lock": True, "days": 1827}

REFUSED_CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a smaller volume": ({}, {_SIZE: "49Gi"}, "volumes only grow: give the present size or a larger one"),
    "a volume smaller in another unit": ({}, {_SIZE: "53G"}, "volumes only grow"),
    "another storage class": ({}, {"spec.volume.storageClassName": "slow"}, "storageClassName cannot change"),
    "no storage class any more": ({}, {"spec.volume.storageClassName": MISSING}, "make a new policy"),
    "another access mode": ({}, {"spec.volume.accessModes": ["ReadWriteMany"]}, "accessModes cannot change"),
    "the lock taken off": ({_RETENTION: _LOCKED}, {"spec.retention.lock": False}, "set lock: true again"),
    "fewer days under the lock": ({_RETENTION: _LOCKED}, {"spec.retention.days": 1826}, "days only grows while lock"),
    "no days under the lock": ({_RETENTION: _LOCKED}, {"spec.retention.days": MISSING}, "days only grows while lock"),
    "no retention any more under the lock": ({_RETENTION: _LOCKED}, {_RETENTION: MISSING}, "set lock: true again"),
}
ALLOWED_CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a larger volume": ({}, {_SIZE: "51Gi"}),
    "the same size in another unit": ({}, {_SIZE: "51200Mi"}),
    "another log path": ({}, {"spec.audit.logPath": "/data/risk_audit.jsonl"}),
    "fewer days without a lock": ({"spec.retention.days": 1827}, {"spec.retention.days": 1}),
    "the lock put on": ({"spec.retention.days": 1827}, {"spec.retention.lock": True}),
    "more days under the lock": ({_RETENTION: _LOCKED}, {"spec.retention.days": 2557}),
}


def _apply(cluster: Cluster, namespace: str, policy: dict[str, Any], *options: str) -> str:
    policy["metadata"]["namespace"] = namespace
    return cluster.kubectl("apply", *options, "--filename", "-", stdin=json.dumps(policy))


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_a_bad_policy_is_refused_with_what_to_write_instead(cluster: Cluster, bad: Bad) -> None:
    """Found out by `kubectl apply`, and not from the status of a policy that does nothing."""
    with pytest.raises(CommandError) as refusal:
        _apply(cluster, _NOWHERE, changed(bad.changes), "--dry-run=server")

    assert bad.says.lower() in str(refusal.value).lower()


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_a_good_policy_is_taken_with_the_defaults_of_the_models(cluster: Cluster, changes: dict[str, Any]) -> None:
    """What the API server fills in is what the operator reads: neither adds to the other's defaults."""
    taken = json.loads(_apply(cluster, _NOWHERE, changed(changes), "--dry-run=server", "--output=json"))

    assert taken["spec"] == RiskAuditPolicy.parse(changed(changes)).to_api()["spec"]


@pytest.mark.parametrize(("before", "change", "says"), REFUSED_CHANGES.values(), ids=REFUSED_CHANGES)
def test_a_change_that_would_harm_records_is_refused(
    cluster: Cluster, namespace: str, before: dict[str, Any], change: dict[str, Any], says: str
) -> None:
    """A volume cannot shrink or move, and a lock that can be taken off is none."""
    _apply(cluster, namespace, changed(before))

    with pytest.raises(CommandError) as refusal:
        _apply(cluster, namespace, changed(change, base=changed(before)), "--dry-run=server")

    assert says in str(refusal.value)


@pytest.mark.parametrize(("before", "change"), ALLOWED_CHANGES.values(), ids=ALLOWED_CHANGES)
def test_a_change_that_harms_nothing_is_allowed(
    cluster: Cluster, namespace: str, before: dict[str, Any], change: dict[str, Any]
) -> None:
    """The rules about changes must not freeze the policy."""
    _apply(cluster, namespace, changed(before))

    _apply(cluster, namespace, changed(change, base=changed(before)), "--dry-run=server")


def test_a_field_is_explained_where_it_is_needed(cluster: Cluster) -> None:
    """`kubectl explain` answers without a browser."""
    explained = " ".join(cluster.kubectl("explain", "riskauditpolicy.spec.audit.logPath").split())

    assert "Its directory is where the volume is mounted." in explained


def test_policies_are_found_under_their_short_name_and_category(cluster: Cluster, namespace: str) -> None:
    """`kubectl get rap` and `kubectl get risk-audit` are what people type."""
    _apply(cluster, namespace, changed({}))

    assert "READY   REASON   MATCHED   INJECTED   PODS   VALID   VOLUME   MODE" in cluster.kubectl(
        "get", "rap", "--namespace", namespace
    )
    assert "riskauditpolicy.riskbus.io/intraday" in cluster.kubectl("get", "risk-audit", "--namespace", namespace)
