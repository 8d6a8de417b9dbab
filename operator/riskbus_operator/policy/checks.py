"""What holds a workload back: named checks, in order; the first finding is the one that is shown.

A blocked workload is left exactly as it is. Each check is a function from a candidate to a finding or None, and
its name is the condition's reason where there is only one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from riskbus_operator.api.audit import OnConflict
from riskbus_operator.api.policy import RiskAuditPolicy
from riskbus_operator.desired.claim import claim_name
from riskbus_operator.desired.injection import several_writers
from riskbus_operator.desired.names import WORKLOAD_ANNOTATION, Object

from .conflicts import Conflict
from .state import State, Workload

CONTESTED = "SelectedByOlderPolicy"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Why not: a reason for programs and a message that says why and what to do."""

    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A workload that a policy is about to be put into.

    Attributes:
        policy: The policy.
        workload: The workload.
        state: The namespace.
        contested_by: The older policy that governs the workload, if there is one.
        conflicts: Entries of the user's that contradict the policy.
    """

    policy: RiskAuditPolicy
    workload: Workload
    state: State
    contested_by: str | None
    conflicts: tuple[Conflict, ...]

    @property
    def claim(self) -> Object | None:
        """The workload's claim, if it exists."""
        return self.state.claims.get(claim_name(self.workload.key.name))


def first_finding(candidate: Candidate) -> Finding | None:
    """The first check that holds the candidate back; None if it may be injected."""
    return next((finding for check in CHECKS if (finding := check(candidate))), None)


def selected_by_older_policy(candidate: Candidate) -> Finding | None:
    """Two policies want the workload: the older one has it."""
    if candidate.contested_by is None:
        return None
    return Finding(
        reason=CONTESTED,
        message=f"{candidate.workload.key} is governed by the older policy {candidate.contested_by}: narrow the "
        "selector of one of the two",
    )


def container_not_found(candidate: Candidate) -> Finding | None:
    """A container that the policy names is not in the template."""
    have = [one["name"] for one in (*candidate.workload.containers, *candidate.workload.init_containers)]
    missing = [name for name in candidate.policy.spec.workloads.containers if name not in have]
    if not missing:
        return None
    return Finding(
        reason="ContainerNotFound",
        message=f"{candidate.workload.key} has no container {' or '.join(missing)}, but {', '.join(have)}: correct "
        "spec.workloads.containers",
    )


def rollout_would_deadlock(candidate: Candidate) -> Finding | None:
    """A claim for one writer, and a rollout that needs two pods at once (kubernetes #115997)."""
    if several_writers(candidate.policy):
        return None
    workload = candidate.workload
    modes = ", ".join(candidate.policy.spec.volume.access_modes)
    if workload.replicas > 1:
        return Finding(
            reason="RolloutWouldDeadlock",
            message=f"{workload.key} has {workload.replicas} replicas and its claim is {modes}: only one of the pods "
            "could start. Set replicas to 1, or make a policy with accessModes [ReadWriteMany]",
        )
    if surge(workload) > 0:
        return Finding(
            reason="RolloutWouldDeadlock",
            message=f"{workload.key} starts the new pod before the old one has let go of the {modes} claim: set "
            "spec.strategy.type of the Deployment to Recreate, or make a policy with accessModes [ReadWriteMany]",
        )
    return None


def surge(workload: Workload) -> int:
    """Pods that a rollout starts before it stops as many old ones.

    Only a Deployment does so; its default is RollingUpdate with a maxSurge of 25 %, rounded up. (A maxUnavailable
    that rounds to 0 does no harm without a surge: Kubernetes then takes 1.)
    """
    strategy = workload.obj["spec"].get("strategy") or {}
    if workload.key.kind != "Deployment" or strategy.get("type") == "Recreate":
        return 0
    limit = (strategy.get("rollingUpdate") or {}).get("maxSurge", "25%")
    if isinstance(limit, str) and limit.endswith("%"):
        return math.ceil(int(limit.removesuffix("%")) * max(workload.replicas, 1) / 100)
    return int(limit)


def claim_name_taken(candidate: Candidate) -> Finding | None:
    """A claim of that name exists, and was not made for this workload."""
    claim = candidate.claim
    if claim is None:
        return None
    name = claim["metadata"]["name"]
    made_for = (claim["metadata"].get("annotations") or {}).get(WORKLOAD_ANNOTATION)
    if made_for == str(candidate.workload.key):
        return None
    return Finding(
        reason="ClaimNameTaken",
        message=f"the claim {name} belongs to {made_for or 'someone else'}, not to {candidate.workload.key}: rename "
        "the workload, or remove the claim once nothing needs what is on it",
    )


def claim_unusable(candidate: Candidate) -> Finding | None:
    """The claim is being deleted, has lost its volume, or is of another kind than the policy asks for."""
    claim = candidate.claim
    if claim is None:
        return None
    name = claim["metadata"]["name"]
    if claim["metadata"].get("deletionTimestamp"):
        return Finding(
            reason="ClaimTerminating",
            message=f"the claim {name} is being deleted and goes when its last pod stops: copy the audit log away "
            "now; the operator makes a new claim afterwards",
        )
    if claim.get("status", {}).get("phase") == "Lost":
        return Finding(
            reason="ClaimLost",
            message=f"the claim {name} has lost its volume {claim['spec'].get('volumeName', '')}: restore the "
            "PersistentVolume, or delete the claim so that a new one is made",
        )
    return _claim_differs(claim, candidate.policy)


def _claim_differs(claim: Object, policy: RiskAuditPolicy) -> Finding | None:
    """Neither access modes nor StorageClass of a claim can change: one from an earlier policy may not fit."""
    modes = sorted(str(mode) for mode in policy.spec.volume.access_modes)
    has_modes = sorted(claim["spec"].get("accessModes", []))
    storage_class = policy.spec.volume.storage_class_name
    has_class = claim["spec"].get("storageClassName")
    if has_modes == modes and storage_class in (None, has_class):
        return None
    return Finding(
        reason="ClaimDiffers",
        message=f"the claim {claim['metadata']['name']} is {', '.join(has_modes)} of StorageClass {has_class}, and the "
        f"policy asks for {', '.join(modes)} of {storage_class or 'the default'}; a claim cannot change these: make "
        "a policy with those of the claim, or give the workload a new name",
    )


def storage_class_not_found(candidate: Candidate) -> Finding | None:
    """There is nothing that could make the volume."""
    claim = candidate.claim
    if claim is not None and claim.get("status", {}).get("phase") == "Bound":
        return None
    name = candidate.policy.spec.volume.storage_class_name
    classes = candidate.state.storage_classes
    have = f"the cluster has {', '.join(sorted(classes)) or 'none'}"
    if name is None:
        if any(_is_default(item) for item in classes.values()):
            return None
        return Finding(
            reason="StorageClassNotFound",
            message=f"the policy names no StorageClass and the cluster has no default one ({have}): make a policy with "
            "spec.volume.storageClassName",
        )
    if name in classes:
        return None
    return Finding(
        reason="StorageClassNotFound",
        message=f"there is no StorageClass {name} ({have}): create it, or make a policy with another one",
    )


def _is_default(storage_class: Object) -> bool:
    return (storage_class["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true"


def users_entries_conflict(candidate: Candidate) -> Finding | None:
    """The workload sets itself what the policy sets, and may not be left half injected.

    What `audit.env` adds is an offer: there the workload's own value wins without a word.
    """
    fail = candidate.policy.spec.injection.on_conflict is OnConflict.FAIL
    offered = candidate.policy.spec.audit.env
    in_the_way = [
        conflict
        for conflict in candidate.conflicts
        if (fail and conflict.entry not in offered) or not conflict.skippable
    ]
    if not in_the_way:
        return None
    first = in_the_way[0]
    more = f" (and {len(in_the_way) - 1} more such conflicts)" if len(in_the_way) > 1 else ""
    skip = "; with injection.onConflict: Skip that entry is left and the rest injected" if first.skippable else ""
    return Finding(reason=first.reason, message=f"{first.message}{skip}{more}")


CHECKS: tuple[Callable[[Candidate], Finding | None], ...] = (
    selected_by_older_policy,
    container_not_found,
    rollout_would_deadlock,
    claim_name_taken,
    claim_unusable,
    storage_class_not_found,
    users_entries_conflict,
)
STORAGE_REASONS = frozenset({"ClaimNameTaken", "ClaimTerminating", "ClaimLost", "ClaimDiffers", "StorageClassNotFound"})
