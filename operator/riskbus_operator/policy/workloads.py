"""What becomes of one workload under one policy: its claim, and its injection or the reason against it."""

from riskbus_operator.api.policy import RiskAuditPolicy
from riskbus_operator.api.quantity import size_in_bytes
from riskbus_operator.desired.claim import claim, claim_name
from riskbus_operator.desired.injection import Injection, injection, workload_patch
from riskbus_operator.desired.names import Object

from .actions import Action, Chain, WorkloadPlan
from .checks import Candidate, first_finding
from .conflicts import conflicts, without
from .ownership import is_applied
from .state import State, Workload


def plan_workload(
    policy: RiskAuditPolicy, workload: Workload, state: State, *, contested_by: str | None = None
) -> WorkloadPlan:
    """The plan of a workload that the policy matches.

    Args:
        policy: The policy.
        workload: The workload.
        state: The namespace.
        contested_by: The older policy that governs the workload, if there is one.
    """
    wanted = wanted_injection(policy, workload)
    found = conflicts(workload, wanted)
    candidate = Candidate(policy=policy, workload=workload, state=state, contested_by=contested_by, conflicts=found)
    finding = first_finding(candidate)
    if finding is not None:
        return WorkloadPlan(key=workload.key, finding=finding)
    patch = patch_of(workload, without(wanted, found))
    injected = is_applied(patch, workload.obj)
    return WorkloadPlan(
        key=workload.key,
        injected=injected,
        skipped=found,
        chains=_chains(policy, workload, state, () if injected else (Action(verb="apply", obj=patch),)),
    )


def wanted_injection(policy: RiskAuditPolicy, workload: Workload) -> Injection:
    """What the policy wants in the workload; only containers that are there are named, and init ones only if chosen.

    A server-side apply that names another one would keep it alive, without an image, after the user removed it.
    """
    chosen = policy.spec.workloads.containers
    names = tuple(one["name"] for one in workload.containers if not chosen or one["name"] in chosen)
    init_names = tuple(one["name"] for one in workload.init_containers if one["name"] in chosen)
    return injection(policy, workload=workload.key.name, containers=names, init_containers=init_names)


def patch_of(workload: Workload, wanted: Injection) -> Object:
    """The one apply for the workload, pinned to its uid."""
    metadata = workload.obj["metadata"]
    return workload_patch(
        kind=workload.key.kind,
        namespace=metadata.get("namespace", ""),
        name=workload.key.name,
        uid=workload.uid,
        wanted=wanted,
    )


def _chains(policy: RiskAuditPolicy, workload: Workload, state: State, patch: tuple[Action, ...]) -> tuple[Chain, ...]:
    """A new claim goes before the template that needs it; a change of an old one does not hold the template up."""
    live = state.claims.get(claim_name(workload.key.name))
    wanted = claim(policy, kind=workload.key.kind, workload=workload.key.name, size=_size(policy, live))
    apply_claim = () if is_applied(wanted, live) else (Action(verb="apply", obj=wanted, force=True),)
    if live is None:
        return (Chain(subject=str(workload.key), actions=(*apply_claim, *patch)),)
    return (
        Chain(subject=f"PersistentVolumeClaim/{live['metadata']['name']}", actions=apply_claim),
        Chain(subject=str(workload.key), actions=patch),
    )


def _size(policy: RiskAuditPolicy, live: Object | None) -> str:
    """What to request: a claim that has grown beyond the policy's size stays, as claims only grow."""
    asked = policy.spec.volume.size
    if live is None:
        return asked
    has = str(live["spec"]["resources"]["requests"]["storage"])
    try:
        return asked if size_in_bytes(has) < size_in_bytes(asked) else has
    except ValueError:  # a spelling that Kubernetes knows and policies do not, like 1.5Ti: somebody chose it
        return has
