"""Carry out a plan, chain by chain, and say what came of each; one failure never stops another chain."""

from riskbus_operator.api.metadata import POLICY_FINALIZER
from riskbus_operator.desired.names import Object
from riskbus_operator.policy.actions import FINALIZER, Action, Chain, Outcome, PolicyPlan
from riskbus_operator.policy.checks import Finding

from .client import MERGE, Cluster
from .errors import ApiError
from .resources import path_of


async def carry_out(cluster: Cluster, plan: PolicyPlan) -> dict[str, Outcome]:
    """Carry out the plan of one policy; outcomes by the chain's subject.

    Nothing is done while the policy is paused. A Shadow policy's actions are tried by server-side dry run.
    """
    if plan.paused:
        return {}
    outcomes: dict[str, Outcome] = {}
    if plan.hold is not None:
        outcomes[FINALIZER] = await run_chain(cluster, Chain(subject=FINALIZER, actions=(plan.hold,)))
        if outcomes[FINALIZER].failure is not None:
            return outcomes
    for chain in plan.chains:
        outcomes[chain.subject] = await run_chain(cluster, chain, dry_run=plan.shadow)
    if plan.release is not None and not any(outcome.failure for outcome in outcomes.values()):
        outcomes[FINALIZER] = await run_chain(cluster, Chain(subject=FINALIZER, actions=(plan.release,)))
    return outcomes


async def run_chain(cluster: Cluster, chain: Chain, *, dry_run: bool = False) -> Outcome:
    """Carry out the actions of a chain until one fails."""
    for written, action in enumerate(chain.actions):
        try:
            await _run(cluster, action, dry_run=dry_run)
        except ApiError as error:
            return Outcome(written=written, failure=_finding(action, error), retriable=error.retriable)
    return Outcome(written=len(chain.actions))


async def _run(cluster: Cluster, action: Action, *, dry_run: bool) -> None:
    match action.verb:
        case "apply":
            await cluster.apply(action.obj, force=action.force, dry_run=dry_run)
        case "delete":
            await cluster.delete(action.obj, dry_run=dry_run)
        case "release":
            await _release(cluster, action.obj)


async def _release(cluster: Cluster, policy: Object) -> None:
    """Take the finalizer off, whoever else may have written it; pinned to the version that was planned from."""
    metadata = policy["metadata"]
    left = [name for name in metadata.get("finalizers", ()) if name != POLICY_FINALIZER]
    body = {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": left}}
    try:
        await cluster.request("PATCH", path_of(policy), body=body, content_type=MERGE)
    except ApiError as error:
        if not error.missing:
            raise


def _finding(action: Action, error: ApiError) -> Finding:
    """The refusal in words that say what was tried, and who is in the way."""
    what = f"{action.obj['kind']} {action.obj['metadata']['name']}"
    if error.owned_by_others:
        fields = "; ".join(f"{cause.get('field', '')} ({cause.get('message', '')})" for cause in error.causes)
        return Finding(
            reason="FieldConflict",
            message=f"{what} has fields that others set otherwise: {fields}. Take them out there, or change the policy",
        )
    if error.transient:
        return Finding(reason="ApiServerUnavailable", message=f"could not {action.verb} {what}: {error.message}")
    reason = error.reason if error.reason.isalnum() else "Refused"
    return Finding(reason=reason, message=f"the API server refused to {action.verb} {what}: {error.message}")
