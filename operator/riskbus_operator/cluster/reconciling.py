"""One pass over a namespace: gather, plan, apply, status. It can be killed at any point and begun anew."""

from dataclasses import dataclass
from http import HTTPStatus

from riskbus_operator.api.policy import PolicyStatus
from riskbus_operator.cluster.announcing import announce
from riskbus_operator.cluster.apply import carry_out, run_chain
from riskbus_operator.cluster.client import Cluster
from riskbus_operator.cluster.errors import ApiError
from riskbus_operator.cluster.gather import gather
from riskbus_operator.policy.actions import Outcome, PolicyPlan
from riskbus_operator.policy.ownership import is_applied
from riskbus_operator.policy.plan import plan
from riskbus_operator.policy.state import State
from riskbus_operator.policy.status import halted_status, status, status_object


@dataclass(frozen=True, kw_only=True)
class Pass:
    """What became of a pass.

    Attributes:
        ready: Status of the condition Ready by policy that is not being deleted.
        written: Requests that changed something.
        again: Whether something failed that may succeed soon.
    """

    ready: dict[str, str]
    written: int
    again: bool


async def reconcile(cluster: Cluster, namespace: str) -> Pass:
    """Bring one namespace to where its policies want it, as far as that can be done now.

    Raises:
        ApiError: the namespace could not be read.
    """
    state = await gather(cluster, namespace)
    planned = plan(state)
    outcomes = [await run_chain(cluster, chain) for chain in planned.orphans]
    ready: dict[str, str] = {}
    for item in planned.policies:
        of_policy = await carry_out(cluster, item)
        outcomes += of_policy.values()
        if item.release is None:
            shown = await _show(cluster, item, state, of_policy)
            ready[item.name] = next((one.status for one in shown.conditions if one.type == "Ready"), "Unknown")
    return Pass(
        ready=ready,
        written=sum(outcome.written for outcome in outcomes),
        again=any(outcome.retriable for outcome in outcomes),
    )


async def _show(cluster: Cluster, item: PolicyPlan, state: State, outcomes: dict[str, Outcome]) -> PolicyStatus:
    """Write the status, unless it is there already, and announce what has changed in it."""
    wanted = status(item, state, outcomes)
    obj = status_object(item, wanted)
    if is_applied(obj, item.obj, subresource="status"):
        return wanted
    try:
        await cluster.apply(obj, force=True, subresource="status")
    except ApiError as error:
        if error.missing:  # deleted meanwhile
            return wanted
        if error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
            raise
        wanted = halted_status(item, state.now, "StatusRefused", _refused(error))
        await cluster.apply(status_object(item, wanted), force=True, subresource="status")
    await announce(cluster, item.obj, wanted, state.now)
    return wanted


def _refused(error: ApiError) -> str:
    return f"the API server refused the status ({error}): the CRDs may be older than the operator; upgrade them"
