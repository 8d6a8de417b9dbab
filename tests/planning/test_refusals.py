"""What is refused before it breaks a rollout, and what the refusal says."""

from typing import Any

import pytest

from riskbus_operator.policy.actions import WorkloadPlan
from riskbus_operator.policy.plan import plan
from tests.planning.manifests import Object, claim, deployment, policy, state, stateful_set, user_sets

ROLLING: Object = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}}
SHARED = {"size": "50Gi", "storageClassName": "fast-ssd", "accessModes": ["ReadWriteMany"]}
ONE_POD = {"size": "50Gi", "storageClassName": "fast-ssd", "accessModes": ["ReadWriteOncePod"]}


def outcome(workload: Object, *others: Object, **spec: Any) -> WorkloadPlan:
    """What becomes of the workload under a policy with this spec."""
    (item,) = plan(state(policy(**spec), workload, *others)).policies
    (found,) = item.workloads
    return found


def reason(workload: Object, *others: Object, **spec: Any) -> str | None:
    """Why the workload is left as it is; None if it is not."""
    finding = outcome(workload, *others, **spec).finding
    return finding.reason if finding else None


@pytest.mark.parametrize(
    "workload",
    [
        deployment(replicas=2),
        stateful_set(replicas=3),
        deployment(**ROLLING),
        deployment(strategy={}),
        deployment(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
        deployment(replicas=0, **ROLLING),
    ],
    ids=["replicas", "stateful-replicas", "surge-rounds-up", "default-strategy", "surge-of-one", "scaled-to-zero"],
)
@pytest.mark.parametrize("volume", [{"size": "50Gi", "storageClassName": "fast-ssd"}, ONE_POD], ids=["RWO", "RWOP"])
def test_a_rollout_that_needs_two_pods_on_one_writers_claim_is_refused(workload: Object, volume: Object) -> None:
    """Kubernetes #115997: the new pod waits for the volume, the old one for the new pod, and trading for both."""
    assert reason(workload, volume=volume) == "RolloutWouldDeadlock"


@pytest.mark.parametrize(
    "workload",
    [
        deployment(),
        stateful_set(),
        deployment(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}),
        deployment(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "0%"}}),
        stateful_set(replicas=0),
    ],
    ids=["recreate", "stateful", "no-surge", "no-surge-percent", "scaled-to-zero"],
)
def test_a_rollout_that_stops_the_old_pod_first_is_fine(workload: Object) -> None:
    """A refusal without need would keep evidence off durable storage."""
    assert reason(workload) is None


@pytest.mark.parametrize("workload", [deployment(replicas=2, **ROLLING), stateful_set(replicas=3)])
def test_a_claim_for_many_writers_allows_any_rollout(workload: Object) -> None:
    """Each pod has a directory of its own there."""
    assert reason(workload, volume=SHARED) is None


def test_the_refusal_of_a_deadlock_says_what_to_change() -> None:
    """Somebody reads it at three in the morning."""
    finding = outcome(deployment(**ROLLING)).finding

    assert finding is not None
    assert "spec.strategy.type of the Deployment to Recreate" in finding.message
    assert "ReadWriteMany" in finding.message


def test_a_container_that_is_not_there_is_refused_with_those_that_are() -> None:
    """Applied all the same, it would appear in the pod without an image."""
    found = outcome(deployment(), workloads={"names": ["intraday-jules"], "containers": ["jul"]}).finding

    assert found is not None
    assert (found.reason, "jules" in found.message) == ("ContainerNotFound", True)


def test_a_storage_class_that_does_not_exist_is_refused_before_the_template_changes() -> None:
    """The pod would wait for its volume for ever."""
    assert reason(deployment(), volume={"size": "1Gi", "storageClassName": "fast-sdd"}) == "StorageClassNotFound"


def test_no_storage_class_and_no_default_is_refused() -> None:
    """The same, with nothing misspelt."""
    assert reason(deployment(), volume={"size": "1Gi"}) == "StorageClassNotFound"


def test_no_storage_class_takes_the_clusters_default() -> None:
    """As every claim does."""
    default = {
        "kind": "StorageClass",
        "metadata": {
            "name": "standard",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
    }
    assert reason(deployment(), default, volume={"size": "1Gi"}) is None


def test_a_bound_claim_needs_its_storage_class_no_more() -> None:
    """Classes come and go; the volume is there."""
    other = {"kind": "StorageClass", "metadata": {"name": "another"}}
    assert reason(deployment(), claim(), other) is None


def test_a_claim_whose_labels_somebody_took_off_is_still_the_workloads() -> None:
    """To call it a stranger's would be to advise its owner to remove the records."""
    bare = claim()
    del bare["metadata"]["labels"]

    assert reason(deployment(), bare) is None


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (claim(workload="StatefulSet/intraday-jules"), "ClaimNameTaken"),
        (claim() | {"metadata": {"name": "intraday-jules-risk-audit", "namespace": "trading"}}, "ClaimNameTaken"),
        (claim() | {"status": {"phase": "Lost"}}, "ClaimLost"),
        (claim(accessModes=["ReadWriteMany"]), "ClaimDiffers"),
        (claim(storageClassName="slow"), "ClaimDiffers"),
    ],
    ids=["of-another-workload", "of-somebody-else", "lost", "other-modes", "other-class"],
)
def test_a_claim_that_cannot_hold_the_log_is_refused(live: Object, expected: str) -> None:
    """Nothing on it is overwritten, and nothing is written where it would not last."""
    assert reason(deployment(), live) == expected


def test_a_claim_that_is_being_deleted_is_refused() -> None:
    """What is written to it now is gone with it."""
    live = claim()
    live["metadata"]["deletionTimestamp"] = "2026-01-15T14:00:00Z"

    assert reason(deployment(), live) == "ClaimTerminating"


def test_a_blocked_workload_is_left_exactly_as_it_is() -> None:
    """Half a change could be worse than none."""
    (item,) = plan(state(policy(), deployment(replicas=2))).policies

    assert {action.obj["kind"] for action in item.changes} == {"Role", "RoleBinding", "PrometheusRule"}


def test_a_workload_that_opts_out_is_not_touched() -> None:
    """Its owner decides."""
    own = deployment()
    own["metadata"]["labels"]["riskbus.io/inject"] = "false"

    (item,) = plan(state(policy(), own)).policies

    assert (item.workloads, item.changes) == ((), ())


def test_a_template_of_the_users_own_making_is_refused_by_default() -> None:
    """A value that a user set is never reset."""
    own = user_sets(deployment(), "env", {"name": "RISK_AUDIT_LOG_PATH", "value": "/data/audit.jsonl"})

    assert reason(own) == "EnvConflict"
    assert reason(own, injection={"onConflict": "Skip"}) is None
