"""Whether each pod writes to durable storage, from what it reports itself."""

from typing import Any

import pytest

from riskbus_operator.api.policy import PolicyStatus
from riskbus_operator.policy.plan import plan
from riskbus_operator.policy.status import status
from tests.planning.manifests import Object, deployment, pod, policy, report, state


def shown(*objects: Object, pods: list[Object], workload: Object | None = None, **spec: Any) -> PolicyStatus:
    """The status of a policy that covers these pods."""
    gathered = state(policy(**spec), workload or deployment(), *objects, pods=pods)
    return status(plan(gathered).policies[0], gathered, {})


def counts(found: PolicyStatus) -> dict[str, int]:
    """The pod counts that are not zero."""
    assert found.pods is not None
    return {name: number for name, number in found.pods.to_api().items() if number}


def test_a_pod_with_a_valid_report_counts_as_valid() -> None:
    """The one number that matters."""
    assert counts(shown(report(), pods=[pod()])) == {"expected": 1, "reporting": 1, "valid": 1}


@pytest.mark.parametrize("verdict", ["Degraded", "Invalid"])
def test_other_verdicts_are_counted_and_listed_with_what_to_do(verdict: str) -> None:
    """The pod's own sentence says it best."""
    found = shown(report(verdict=verdict, reason="BecauseOfIt", message="do this"), pods=[pod()])

    assert counts(found) == {"expected": 1, "reporting": 1, verdict.lower(): 1}
    assert [(one.pod, one.reason, one.message) for one in found.failures] == [
        ("intraday-jules-0", "BecauseOfIt", "do this")
    ]


@pytest.mark.parametrize(("observed_at", "stale"), [("2026-01-15T14:27:00Z", 1), ("2026-01-15T14:27:01Z", 0)])
def test_a_report_is_stale_after_three_intervals(observed_at: str, stale: int) -> None:
    """A process that hangs reports nothing any more, least of all that it hangs."""
    found = shown(report(observed_at=observed_at), pods=[pod()])

    assert counts(found).get("stale", 0) == stale
    assert counts(found).get("valid", 0) == 1 - stale


def test_a_report_of_an_earlier_pod_of_the_name_counts_for_nothing() -> None:
    """A StatefulSet's pods keep their names; the new one may write somewhere else."""
    old = report()
    old["metadata"]["ownerReferences"][0]["uid"] = "uid-of-the-one-before"

    found = shown(old, pods=[pod()])

    assert counts(found) == {"expected": 1}
    assert [one.reason for one in found.failures] == ["NotReporting"]


def test_a_report_that_cannot_be_read_says_so() -> None:
    """An old library's report must not stop the policy."""
    found = shown(report(verdict="Superb"), pods=[pod()])

    assert [one.reason for one in found.failures] == ["InvalidReport"]


@pytest.mark.parametrize(
    ("silent", "reason", "part"),
    [
        (pod(), "NotReporting", "service account"),
        (pod(injected=False), "NotInjected", "OnDelete"),
        (pod(phase="Pending"), "PodNotRunning", "it starts"),
        (
            pod(
                phase="Pending",
                containerStatuses=[{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}],
            ),
            "PodNotRunning",
            "ImagePullBackOff: no such image",
        ),
        (
            pod(
                phase="Pending",
                conditions=[{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}],
            ),
            "PodNotRunning",
            "0/1 nodes are available",
        ),
    ],
    ids=["running", "not-injected", "starting", "waiting", "unschedulable"],
)
def test_a_silent_pod_says_as_much_as_can_be_known(silent: Object, reason: str, part: str) -> None:
    """Where to look next."""
    (failure,) = shown(pods=[silent]).failures

    assert failure.reason == reason
    assert part in failure.message


def test_pods_that_have_ended_or_are_ending_do_not_count() -> None:
    """They write nothing any more."""
    ending = pod("ending")
    ending["metadata"]["deletionTimestamp"] = "2026-01-15T14:29:00Z"

    assert counts(shown(report(), pods=[pod(), ending, pod("ended", phase="Failed")])) == {
        "expected": 1,
        "reporting": 1,
        "valid": 1,
    }


def test_pods_that_do_not_exist_yet_are_expected_too() -> None:
    """A quota may keep them from ever being made."""
    volume = {"size": "50Gi", "storageClassName": "fast-ssd", "accessModes": ["ReadWriteMany"]}

    assert counts(shown(report(), pods=[pod()], workload=deployment(replicas=3), volume=volume))["expected"] == 3


def test_at_most_twenty_failures_are_listed_the_worst_first() -> None:
    """A status has its limits; a reader too."""
    pods = [pod(f"pod-{number:02}") for number in range(30)]
    invalid = report("pod-29", verdict="Invalid", reason="ReadOnly", message="remount it")

    failures = shown(invalid, pods=pods).failures

    assert len(failures) == 20
    assert failures[0].pod == "pod-29"
