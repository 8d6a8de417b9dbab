"""Whether the pods of a policy really write to durable storage, from what they report themselves."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from riskbus_operator.api.errors import InvalidObjectError
from riskbus_operator.api.policy import Failure, PodCounts, RiskAuditPolicy
from riskbus_operator.api.quantity import duration_in_seconds
from riskbus_operator.api.report import RiskAuditReport, Verdict
from riskbus_operator.desired.injection import VOLUME_NAME
from riskbus_operator.desired.names import Object

from .state import State, WorkloadKey

# A pod writes its report once an interval; one late report is chance, the third one missing is not.
STALE_INTERVALS = 3
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True, kw_only=True)
class PodHealth:
    """What one pod says, or why it says nothing.

    Attributes:
        name: The pod.
        report: Its report, if there is one that is its own.
        stale: Whether the report is too old to mean anything.
        failure: What is wrong; None if the pod writes to durable storage.
    """

    name: str
    report: RiskAuditReport | None = None
    stale: bool = False
    failure: Failure | None = None

    @property
    def verdict(self) -> Verdict | None:
        """What the pod says now; None if it says nothing."""
        return self.report.mount.verdict if self.report is not None and not self.stale else None


@dataclass(frozen=True, kw_only=True)
class Health:
    """All pods of a policy's workloads.

    Attributes:
        expected: Pods that there should be.
        pods: Those that there are.
    """

    expected: int
    pods: tuple[PodHealth, ...]

    def counts(self) -> PodCounts:
        """The numbers for the status; a stale report counts as nothing else."""
        return PodCounts(
            expected=self.expected,
            reporting=sum(pod.report is not None for pod in self.pods),
            valid=self._saying(Verdict.VALID),
            degraded=self._saying(Verdict.DEGRADED),
            invalid=self._saying(Verdict.INVALID),
            stale=sum(pod.stale for pod in self.pods),
        )

    def _saying(self, verdict: Verdict) -> int:
        return sum(pod.verdict is verdict for pod in self.pods)

    def failures(self) -> Iterator[Failure]:
        """What is wrong with pods: invalid ones first, then silent ones, then degraded ones."""
        order = {Verdict.INVALID: 0, None: 1, Verdict.DEGRADED: 2, Verdict.VALID: 3}
        for pod in sorted(self.pods, key=lambda pod: (order[pod.verdict], pod.name)):
            if pod.failure is not None:
                yield pod.failure


def health(policy: RiskAuditPolicy, keys: Iterable[WorkloadKey], state: State) -> Health:
    """The health of the pods of these workloads."""
    expected = 0
    found: list[PodHealth] = []
    for key in keys:
        pods = [pod for pod in state.pods.get(key, ()) if _alive(pod)]
        expected += max(state.workloads[key].replicas, len(pods))
        found += [_pod_health(policy, pod, state) for pod in pods]
    return Health(expected=expected, pods=tuple(found))


def report_of(pod: Object, state: State) -> RiskAuditReport | None:
    """The pod's own report: one that an earlier pod of the same name left does not count.

    Raises:
        InvalidObjectError: There is one, but it does not fit the API.
    """
    obj = state.reports.get(pod["metadata"]["name"])
    if obj is None:
        return None
    owners = {owner.get("uid") for owner in obj["metadata"].get("ownerReferences", ())}
    return RiskAuditReport.parse(obj) if pod["metadata"].get("uid") in owners else None


def _alive(pod: Object) -> bool:
    return not pod["metadata"].get("deletionTimestamp") and pod.get("status", {}).get("phase") not in _ENDED


def _pod_health(policy: RiskAuditPolicy, pod: Object, state: State) -> PodHealth:
    name = pod["metadata"]["name"]
    try:
        report = report_of(pod, state)
    except InvalidObjectError as error:
        message = f"its report cannot be read ({error}): use a riskbus of the operator's version in the pod"
        return PodHealth(name=name, failure=_failure(name, "InvalidReport", message))
    if report is None:
        return PodHealth(name=name, failure=_silence(policy, pod))
    age = state.now - report.observed_at
    if age >= timedelta(seconds=STALE_INTERVALS * duration_in_seconds(policy.spec.validation.interval)):
        message = (
            f"its last report is {int(age.total_seconds())} s old, and one is due every "
            f"{policy.spec.validation.interval}: see whether the process hangs, or cannot reach the API server"
        )
        return PodHealth(name=name, report=report, stale=True, failure=_failure(name, "StaleReport", message))
    if report.mount.verdict is Verdict.VALID:
        return PodHealth(name=name, report=report)
    return PodHealth(name=name, report=report, failure=_failure(name, report.mount.reason, report.mount.message))


def _silence(policy: RiskAuditPolicy, pod: Object) -> Failure:
    """Why a pod has no report, as far as the pod itself tells."""
    name = pod["metadata"]["name"]
    if (waiting := _waiting(pod)) is not None:
        return _failure(name, "PodNotRunning", f"the pod does not run yet: {waiting}")
    if not any(volume["name"] == VOLUME_NAME for volume in pod["spec"].get("volumes", ())):
        return _failure(
            name,
            "NotInjected",
            "the pod was made from a template without the audit volume: it is replaced by the rollout; where the "
            "update strategy is OnDelete, delete it",
        )
    return _failure(
        name,
        "NotReporting",
        f"no report yet; one is due every {policy.spec.validation.interval}: see that the program opens its audit log "
        "with riskbus, and that the pod mounts its service account's token",
    )


def _waiting(pod: Object) -> str | None:
    status = pod.get("status", {})
    for container in status.get("containerStatuses", ()):
        if (waiting := container.get("state", {}).get("waiting")) is not None:
            return ": ".join(waiting[key] for key in ("reason", "message") if waiting.get(key)) or "it waits"
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message") or condition.get("reason") or "it is not scheduled")
    return "it starts" if status.get("phase") == "Pending" else None


def _failure(pod: str, reason: str, message: str) -> Failure:
    return Failure(pod=pod, reason=reason, message=message[:1024])
