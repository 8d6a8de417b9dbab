"""The status of a policy: from what was gathered, what was planned and what came of it."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from riskbus_operator.api.conditions import Condition, merged
from riskbus_operator.api.errors import InvalidObjectError
from riskbus_operator.api.metadata import API_VERSION
from riskbus_operator.api.policy import MAX_FAILURES, Failure, PolicyStatus, VolumeStatus, WorkloadCounts
from riskbus_operator.desired.names import Object

from .actions import Outcome, PolicyPlan, WorkloadPlan
from .conditions import conditions, halted
from .facts import Facts
from .pods import health
from .retention import effective_retention
from .state import State

_MAX_MESSAGE = 1024
_MAX_VOLUMES = 512


def status(plan: PolicyPlan, state: State, outcomes: Mapping[str, Outcome]) -> PolicyStatus:
    """The policy's status.

    Args:
        plan: What was planned for it.
        state: What it was planned from.
        outcomes: What came of each chain that was carried out, by its subject.
    """
    if plan.policy is None:
        return halted_status(plan, state.now, "InvalidSpec", f"{plan.problem}; everything is left as it is")
    if plan.deleting:
        return _deletion_status(plan, state, outcomes)
    pods = health(plan.policy, [item.key for item in plan.governed], state)
    facts = Facts(plan=plan, state=state, outcomes=outcomes, policy=plan.policy, health=pods)
    return PolicyStatus(
        observed_generation=plan.obj["metadata"].get("generation", 0),
        conditions=merged(_conditions_before(plan.obj), conditions(facts)),
        workloads=_workload_counts(facts),
        pods=pods.counts(),
        volumes=tuple(_volumes(facts))[:_MAX_VOLUMES],
        failures=tuple(_failures(facts))[:MAX_FAILURES],
        effective_retention=effective_retention(facts),
    )


def _deletion_status(plan: PolicyPlan, state: State, outcomes: Mapping[str, Outcome]) -> PolicyStatus:
    """Why a deleted policy is still there."""
    failed = [outcome.failure for outcome in outcomes.values() if outcome.failure is not None]
    message = failed[0].message if failed else "its finalizers are not all the operator's"
    return halted_status(
        plan, state.now, "Deleting", f"the policy is being deleted, and is still there because of this: {message}"
    )


def status_object(plan: PolicyPlan, wanted: PolicyStatus) -> Object:
    """The status as it goes into a server-side apply on the status subresource, pinned to the policy's uid."""
    metadata = plan.obj["metadata"]
    return {
        "apiVersion": API_VERSION,
        "kind": plan.obj["kind"],
        "metadata": {key: metadata[key] for key in ("name", "namespace", "uid") if key in metadata},
        "status": wanted.to_api(),
    }


def halted_status(plan: PolicyPlan, now: datetime, reason: str, message: str) -> PolicyStatus:
    """The status of a policy of which nothing more can be said than that, and why."""
    generation = plan.obj["metadata"].get("generation", 0)
    said = halted(reason, message, generation=generation, now=now)
    return PolicyStatus(observed_generation=generation, conditions=merged(_conditions_before(plan.obj), said))


def _conditions_before(obj: Object) -> tuple[Condition, ...]:
    try:
        return PolicyStatus.parse(obj.get("status") or {}).conditions
    except InvalidObjectError:  # somebody else wrote it: begin anew
        return ()


def _workload_counts(facts: Facts) -> WorkloadCounts:
    carrying = [item for item in facts.workloads if facts.carries(item)]
    return WorkloadCounts(
        matched=len(facts.workloads),
        injected=len(carrying),
        pending=sum(not facts.rolled_out(item) for item in carrying),
        blocked=len(facts.findings),
    )


def _volumes(facts: Facts) -> Iterator[VolumeStatus]:
    for item in facts.plan.governed:
        claim = facts.claim(item)
        if claim is not None:
            found = claim.get("status", {})
            yield VolumeStatus(
                claim=claim["metadata"]["name"],
                phase=found.get("phase", "Pending"),
                capacity=found.get("capacity", {}).get("storage"),
                used_percent=_used_percent(facts, item),
                reclaim_policy=(facts.volume(item) or {}).get("spec", {}).get("persistentVolumeReclaimPolicy"),
            )


def _used_percent(facts: Facts, item: WorkloadPlan) -> int | None:
    """Share of the volume in use as its pods see it; they share it, so the fullest view counts."""
    names = {pod["metadata"]["name"] for pod in facts.state.pods.get(item.key, ())}
    shares = [
        100 - 100 * pod.report.mount.free_bytes // pod.report.mount.capacity_bytes
        for pod in facts.health.pods
        if pod.name in names and pod.report is not None and pod.report.mount.capacity_bytes
    ]
    return max(shares, default=None)


def _failures(facts: Facts) -> Iterator[Failure]:
    for key, finding in facts.findings.items():
        yield _failure(str(key), finding.reason, finding.message)
    for subject, taken in facts.plan.taken.items():
        yield _failure(subject, taken.reason, taken.message)
    for subject, outcome in facts.failed.items():
        if outcome.failure is not None and not outcome.retriable:
            yield _failure(subject, outcome.failure.reason, outcome.failure.message)
    yield from facts.health.failures()


def _failure(subject: str, reason: str, message: str) -> Failure:
    return Failure(pod=subject, reason=reason, message=message[:_MAX_MESSAGE])
