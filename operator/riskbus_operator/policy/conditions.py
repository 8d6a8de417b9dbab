"""The conditions of a policy: each an ordered list of questions, of which the first that answers decides.

Every message says why it is so and, where something is to be done, what. `Ready` sums the others up. AlertsInstalled
is left out of that sum where the cluster has no PrometheusRules at all: the evidence is as durable without them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from riskbus_operator.api.conditions import Condition, ConditionType

from .actions import ACCESS, ALERTS
from .facts import Facts

_MAX_MESSAGE = 4096
NO_PROMETHEUS = "PrometheusOperatorNotInstalled"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One condition's answer."""

    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


def conditions(facts: Facts) -> tuple[Condition, ...]:
    """Every condition that has something to say about the policy, Ready first."""
    parts: dict[ConditionType, Answer] = {
        ConditionType.STORAGE_READY: _storage_ready(facts),
        ConditionType.INJECTED: _injected(facts),
        ConditionType.MOUNTS_VALIDATED: _mounts_validated(facts),
    }
    if facts.policy.spec.monitoring.enabled:
        parts[ConditionType.ALERTS_INSTALLED] = _alerts_installed(facts)
    parts[ConditionType.RECONCILING] = _reconciling(facts)
    parts[ConditionType.STALLED] = _stalled(facts)
    answers = {ConditionType.READY: _ready(facts, parts)} | parts
    generation = facts.plan.obj["metadata"].get("generation", 0)
    return tuple(_condition(kind, answer, generation, facts.state.now) for kind, answer in answers.items())


def halted(reason: str, message: str, *, generation: int, now: datetime) -> tuple[Condition, ...]:
    """The conditions of a policy for which nothing can be done, and nothing more be said."""
    answers = {
        ConditionType.READY: _no(reason, message),
        ConditionType.RECONCILING: _no(reason, "nothing is done until this is put right"),
        ConditionType.STALLED: _yes(reason, message),
    }
    return tuple(_condition(kind, answer, generation, now) for kind, answer in answers.items())


def _condition(kind: ConditionType, answer: Answer, generation: int, now: datetime) -> Condition:
    return Condition(
        type=kind,
        status=answer.status,
        reason=answer.reason,
        message=answer.message[:_MAX_MESSAGE],
        last_transition_time=now.replace(microsecond=0),
        observed_generation=generation,
    )


def _yes(reason: str, message: str) -> Answer:
    return Answer(status="True", reason=reason, message=message)


def _no(reason: str, message: str) -> Answer:
    return Answer(status="False", reason=reason, message=message)


def _first(facts: Facts, questions: tuple[Callable[[Facts], Answer | None], ...], otherwise: Answer) -> Answer:
    return next((answer for question in questions if (answer := question(facts))), otherwise)


def _more(count: int) -> str:
    return f" (and {count - 1} more; see status.failures)" if count > 1 else ""


# --- StorageReady ---------------------------------------------------------------------------------------------


def _storage_ready(facts: Facts) -> Answer:
    claims = len(facts.plan.governed)
    questions = (_nothing_matched, _storage_found_wanting, _claim_failed, _claim_missing, _claim_pending)
    return _first(facts, questions, _yes("ClaimsBound", f"{claims} of {claims} claims are bound"))


def _nothing_matched(facts: Facts) -> Answer | None:
    if facts.plan.governed:
        return None
    if facts.findings:
        finding = next(iter(facts.findings.values()))
        return _no(finding.reason, finding.message + _more(len(facts.findings)))
    kinds = " or ".join(facts.policy.spec.workloads.kinds)
    return _no(
        "NoWorkloads",
        f"the policy covers no {kinds} in namespace {facts.state.namespace}: label a workload so that "
        'spec.workloads matches it (riskbus.io/inject: "false" on a workload keeps it out)',
    )


def _storage_found_wanting(facts: Facts) -> Answer | None:
    found = list(facts.storage_findings.values())
    return _no(found[0].reason, found[0].message + _more(len(found))) if found else None


def _claim_failed(facts: Facts) -> Answer | None:
    for subject, outcome in facts.failed_workloads.items():
        if outcome.failure is not None and subject.startswith("PersistentVolumeClaim/"):
            return _no(outcome.failure.reason, outcome.failure.message)
    return None


def _claim_missing(facts: Facts) -> Answer | None:
    missing = [str(item.key) for item in facts.plan.governed if facts.claim(item) is None and not facts.carries(item)]
    if not missing:
        return None
    return _no("ClaimMissing", f"{missing[0]} has no claim yet{_more(len(missing))}: one is made when it is injected")


def _claim_pending(facts: Facts) -> Answer | None:
    pending = [
        item.key.name
        for item in facts.plan.governed
        if (facts.claim(item) or {}).get("status", {}).get("phase", "Pending") != "Bound"
    ]
    if not pending:
        return None
    return _no(
        "ClaimPending",
        f"the claim of {pending[0]} is not bound yet{_more(len(pending))}: it waits for its first pod, or for the "
        "provisioner of its StorageClass; `kubectl describe pvc` says which",
    )


# --- Injected -------------------------------------------------------------------------------------------------


def _injected(facts: Facts) -> Answer:
    count = len(facts.workloads)
    left = [conflict for item in facts.workloads for conflict in item.skipped]
    skipped = f"; {len(left)} entries of their own were left as they are: {left[0].message}" if left else ""
    done = _yes("Injected", f"{count} of {count} workloads carry the policy's environment and volume{skipped}")
    return _first(facts, (_no_workloads, _held_back, _injection_failed, _not_yet_injected), done)


def _no_workloads(facts: Facts) -> Answer | None:
    return None if facts.workloads else _nothing_matched(facts)


def _held_back(facts: Facts) -> Answer | None:
    found = list(facts.findings.values())
    return _no(found[0].reason, found[0].message + _more(len(found))) if found else None


def _injection_failed(facts: Facts) -> Answer | None:
    for subject, outcome in facts.failed_workloads.items():
        if outcome.failure is not None and not subject.startswith("PersistentVolumeClaim/"):
            return _no(outcome.failure.reason, outcome.failure.message)
    return None


def _not_yet_injected(facts: Facts) -> Answer | None:
    waiting = [str(item.key) for item in facts.workloads if not facts.carries(item)]
    if not waiting:
        return None
    if facts.plan.shadow:
        return _no("Shadow", f"{', '.join(waiting)} would be injected: set spec.mode to Enforce to do it")
    if facts.plan.paused:
        return _no("Paused", f"{', '.join(waiting)} waits to be injected: set spec.paused to false to do it")
    return _no("Pending", f"{', '.join(waiting)} is not injected yet")


# --- MountsValidated ------------------------------------------------------------------------------------------


def _mounts_validated(facts: Facts) -> Answer:
    counts = facts.health.counts()
    if counts.expected == 0:
        return Answer(
            status="Unknown", reason="NoPods", message="there is no pod to report: the workloads have no replicas"
        )
    summary = f"{counts.valid + counts.degraded} of {counts.expected} pods write to durable storage"
    if counts.valid + counts.degraded == counts.expected:
        worst = _worst(facts)
        return (
            _yes("Degraded", f"{summary}, {counts.degraded} with a weakness: {worst}")
            if worst
            else _yes("AllPodsValid", summary)
        )
    reason = next((failure.reason for failure in facts.health.failures()), "PodsMissing")
    return _no(reason, f"{summary}: {_worst(facts) or 'the others do not exist yet; see the workload'}")


def _worst(facts: Facts) -> str:
    failures = list(facts.health.failures())
    return f"{failures[0].pod}: {failures[0].message}{_more(len(failures))}" if failures else ""


# --- AlertsInstalled ------------------------------------------------------------------------------------------


def _alerts_installed(facts: Facts) -> Answer:
    if facts.state.rules is None:
        return _no(
            NO_PROMETHEUS,
            "the cluster has no PrometheusRule kind (monitoring.coreos.com/v1): install the prometheus-operator's "
            "CRDs and the rules follow by themselves, or set spec.monitoring.enabled to false",
        )
    if not facts.workloads:
        return _no("NoWorkloads", "there is nothing to alert on: the policy covers no workload")
    if (finding := facts.plan.taken.get(ALERTS)) is not None:
        return _no(finding.reason, finding.message)
    if (outcome := facts.failed.get(ALERTS)) is not None and outcome.failure is not None:
        return _no(outcome.failure.reason, outcome.failure.message)
    if facts.waiting and any(chain.subject == ALERTS for chain in facts.plan.chains):
        reason = "Paused" if facts.plan.paused else "Shadow"
        return _no(reason, "the alert rules would be written, if the policy were enforced and not paused")
    return _yes("Installed", "the alert rules are in the policy's PrometheusRule")


# --- Reconciling, Stalled, Ready ------------------------------------------------------------------------------


def _reconciling(facts: Facts) -> Answer:
    retried = [outcome.failure.message for outcome in facts.failed.values() if outcome.retriable and outcome.failure]
    if retried:
        return _yes("Retrying", f"{retried[0]}; it is tried again")
    if facts.wrote:
        return _yes("Applying", "changes have just been written")
    rolling = [str(item.key) for item in facts.workloads if facts.carries(item) and not facts.rolled_out(item)]
    if rolling:
        return _yes("RolloutInProgress", f"{', '.join(rolling)} is rolling out")
    if facts.waiting:
        reason = "Paused" if facts.plan.paused else "Shadow"
        return _no(reason, f"{facts.waiting} changes are not made")
    return _no("UpToDate", "there is nothing to do")


def _stalled(facts: Facts) -> Answer:
    reasons = list(_obstacles(facts))
    if not reasons:
        return _no("Progressing", "nothing needs anybody's help")
    return _yes(reasons[0].reason, reasons[0].message + _more(len(reasons)))


def _obstacles(facts: Facts) -> Iterator[Answer]:
    """What stays as it is until somebody does something."""
    for finding in (*facts.findings.values(), *facts.plan.taken.values()):
        yield _yes(finding.reason, finding.message)
    for outcome in facts.failed.values():
        if outcome.failure is not None and not outcome.retriable:
            yield _yes(outcome.failure.reason, outcome.failure.message)


def _ready(facts: Facts, parts: dict[ConditionType, Answer]) -> Answer:
    for kind in _needed(facts):
        answer = parts.get(kind)
        if answer is not None and answer.status != "True" and answer.reason != NO_PROMETHEUS:
            return _no(answer.reason, answer.message)
    for subject in (ACCESS, ALERTS):
        if subject in facts.failed or subject in facts.plan.taken:
            return _no(parts[ConditionType.STALLED].reason, parts[ConditionType.STALLED].message)
    if facts.waiting:
        reason = "Paused" if facts.plan.paused else "Shadow"
        return _no(reason, f"{facts.waiting} changes are not made: see spec.mode and spec.paused")
    counts = facts.health.counts()
    return _yes(
        "Ready",
        f"{counts.valid + counts.degraded} of {counts.expected} pods of {len(facts.workloads)} workloads write to "
        "durable storage",
    )


def _needed(facts: Facts) -> Iterator[ConditionType]:
    """What must be so before the policy is Ready; the first that is not gives Ready its reason."""
    yield ConditionType.INJECTED
    yield ConditionType.STORAGE_READY
    if facts.policy.spec.validation.required:
        yield ConditionType.MOUNTS_VALIDATED
    yield ConditionType.ALERTS_INSTALLED
