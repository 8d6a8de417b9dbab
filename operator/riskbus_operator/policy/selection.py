"""Which policy covers which workload.

A workload is governed by one policy: the oldest that enforces. Policies in Shadow mode govern nothing, but see
what they would govern.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from riskbus_operator.api.policy import RiskAuditPolicy
from riskbus_operator.api.spec import Mode
from riskbus_operator.api.workloads import LabelSelector, SelectorRequirement

from .state import State, Workload, WorkloadKey

_LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The outcome of selection in a namespace.

    Attributes:
        matched: Workloads that each policy selects, by the policy's name; opted-out ones are not among them.
        governors: The policy that governs each workload, by the policy's name.
    """

    matched: Mapping[str, tuple[WorkloadKey, ...]]
    governors: Mapping[WorkloadKey, str]

    def contested(self, policy: RiskAuditPolicy, key: WorkloadKey) -> str | None:
        """Name of the older policy that has the workload instead of this one, if there is one."""
        governor = self.governors.get(key)
        return governor if governor not in (None, policy.metadata.name) else None


def select(policies: Iterable[RiskAuditPolicy], state: State) -> Selection:
    """Match policies (those that are being deleted left out by the caller) with the namespace's workloads."""
    by_age = sorted(policies, key=_age)
    matched = {
        policy.metadata.name: tuple(
            key
            for key, workload in sorted(state.workloads.items(), key=lambda item: str(item[0]))
            if matches(policy, workload) and not workload.opted_out
        )
        for policy in by_age
    }
    governors: dict[WorkloadKey, str] = {}
    for policy in by_age:
        if policy.spec.mode is Mode.ENFORCE:
            for key in matched[policy.metadata.name]:
                governors.setdefault(key, policy.metadata.name)
    return Selection(matched=matched, governors=governors)


def _age(policy: RiskAuditPolicy) -> tuple[datetime, str]:
    """Oldest first; a policy from a file is younger than any in the cluster; the name decides a draw."""
    return policy.metadata.creation_timestamp or _LATEST, policy.metadata.name


def matches(policy: RiskAuditPolicy, workload: Workload) -> bool:
    """Whether the policy's `workloads` section selects the workload."""
    wanted = policy.spec.workloads
    if workload.key.kind not in wanted.kinds:
        return False
    if wanted.selector is not None:
        return selector_matches(wanted.selector, workload.labels)
    return workload.key.name in wanted.names


def selector_matches(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether labels fulfil a label selector, as Kubernetes reads it."""
    return all(labels.get(key) == value for key, value in selector.match_labels.items()) and all(
        _fulfils(requirement, labels) for requirement in selector.match_expressions
    )


def _fulfils(requirement: SelectorRequirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":  # a label that is absent is not in the set: Kubernetes' own reading
            return value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
