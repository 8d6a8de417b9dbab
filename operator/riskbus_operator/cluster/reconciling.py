"""One pass over a namespace: gather, plan, apply, status. It can be killed at any point and begun anew."""

import logging
from collections.abc import Mapping
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

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pass:
    """What became of a pass.

    Attributes:
        ready: Status of the condition Ready by policy; policies that have just gone are not among them.
        written: Requests that changed something.
        again: Whether something failed that may succeed soon.
    """

    ready: Mapping[str, str]
    written: int
    again: bool


async def reconcile(cluster: Cluster, namespace: str) -> Pass:
    """Bring one namespace to where its policies want it, as far as that can be done now.

    What goes wrong with one policy is shown in its status, and does not stop the others.

    Raises:
        ApiError: the namespace could not be read.
    """
    state = await gather(cluster, namespace)
    planned = plan(state)
    outcomes = [await run_chain(cluster, chain) for chain in planned.orphans]
    ready: dict[str, str] = {}
    again = False
    for item in planned.policies:
        done = await _of_policy(cluster, item, state)
        outcomes += done.outcomes.values()
        again |= done.again
        if done.shown is not None:
            ready[item.name] = next((one.status for one in done.shown.conditions if one.type == "Ready"), "Unknown")
    return Pass(
        ready=ready,
        written=sum(outcome.written for outcome in outcomes),
        again=again or any(outcome.retriable for outcome in outcomes),
    )


@dataclass(frozen=True, kw_only=True)
class _Done:
    """What became of one policy: its outcomes, the status that is shown, and whether to try again soon."""

    outcomes: Mapping[str, Outcome]
    shown: PolicyStatus | None
    again: bool = False


async def _of_policy(cluster: Cluster, item: PolicyPlan, state: State) -> _Done:
    outcomes: dict[str, Outcome] = {}
    try:
        outcomes = await carry_out(cluster, item)
        if item.release is not None and not any(outcome.failure for outcome in outcomes.values()):
            return _Done(outcomes=outcomes, shown=None)
        wanted = status(item, state, outcomes)
    except Exception as error:  # noqa: BLE001 - a defect is shown, and stays with the policy that met it
        _log.exception("policy %s/%s met a defect of the operator", state.namespace, item.name)
        wanted = halted_status(
            item,
            state.now,
            "OperatorDefect",
            f"the operator failed on this policy ({type(error).__name__}: {error}): see its log, and report it",
        )
    try:
        return _Done(outcomes=outcomes, shown=await _show(cluster, item, state, wanted))
    except ApiError as error:
        _log.warning("the status of policy %s/%s could not be written: %s", state.namespace, item.name, error)
        return _Done(outcomes=outcomes, shown=wanted, again=True)


async def _show(cluster: Cluster, item: PolicyPlan, state: State, wanted: PolicyStatus) -> PolicyStatus:
    """Write the status, unless it is there already, and announce what has changed in it."""
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
