"""The plan of a namespace: for each policy what to write, in which order, and what is held back.

        gather ──► State ──► plan ──► Plan ──► apply ──► Outcomes
                     │                 │                    │
                     └─────────────────┴──► status ◄────────┘

A plan holds only what would change something: the plan of an unchanged cluster is empty.
"""

from collections.abc import Iterable
from dataclasses import replace

from riskbus_operator.api.errors import InvalidObjectError
from riskbus_operator.api.metadata import POLICY_FINALIZER, POLICY_LABEL
from riskbus_operator.api.policy import RiskAuditPolicy
from riskbus_operator.api.spec import Mode
from riskbus_operator.desired.access import role, role_binding
from riskbus_operator.desired.alerts import prometheus_rule
from riskbus_operator.desired.names import MANAGED_BY_LABEL, MANAGER, Object

from .actions import ACCESS, ALERTS, Action, Chain, Plan, PolicyPlan, WorkloadPlan
from .checks import Finding
from .ownership import is_applied
from .removal import removals
from .selection import Selection, select
from .state import State
from .workloads import plan_workload


def plan(state: State) -> Plan:
    """What to do in the namespace."""
    parsed = [_parsed(obj) for obj in state.policies]
    living = [item.policy for item in parsed if item.policy is not None and not item.deleting]
    selection = select(living, state)
    planned = [
        _deletion(item, state)
        if item.deleting
        else _reconciliation(item, item.policy, state, selection)
        if item.policy is not None
        else item
        for item in parsed
    ]
    by_policy = removals(state, planned, selection)
    with_removals = tuple(replace(item, chains=(*by_policy.pop(item.name, ()), *item.chains)) for item in planned)
    return Plan(policies=with_removals, orphans=tuple(chain for chains in by_policy.values() for chain in chains))


def _parsed(obj: Object) -> PolicyPlan:
    name = obj["metadata"]["name"]
    try:
        return PolicyPlan(name=name, obj=obj, policy=RiskAuditPolicy.parse(obj))
    except InvalidObjectError as error:
        return PolicyPlan(name=name, obj=obj, problem=str(error))


def _reconciliation(item: PolicyPlan, policy: RiskAuditPolicy, state: State, selection: Selection) -> PolicyPlan:
    keys = selection.matched[item.name]
    workloads = tuple(
        plan_workload(policy, state.workloads[key], state, contested_by=selection.contested(policy, key))
        for key in keys
    )
    wanted = {ACCESS: _access(policy, state, workloads), ALERTS: _alerts(policy, state, workloads)}
    taken = {
        subject: finding for subject, objects in wanted.items() if (finding := _name_taken(policy, objects, state))
    }
    made = tuple(
        Chain(subject=subject, actions=_to_apply(objects, state))
        for subject, objects in wanted.items()
        if subject not in taken
    )
    chains = [chain for workload in workloads for chain in workload.chains]
    chains += [*made, *_prunes(policy.metadata.name, state, [obj for objects in wanted.values() for obj in objects])]
    return replace(
        item,
        hold=_hold(item) if policy.spec.mode is Mode.ENFORCE else None,
        chains=tuple(chain for chain in chains if chain.actions),
        workloads=workloads,
        taken=taken,
    )


def _deletion(item: PolicyPlan, state: State) -> PolicyPlan:
    release = Action(verb="release", obj=item.obj)
    held = POLICY_FINALIZER in item.obj["metadata"].get("finalizers", [])
    return replace(item, chains=tuple(_prunes(item.name, state, [])), release=release if held else None)


def _hold(item: PolicyPlan) -> Action | None:
    """The finalizer by server-side apply, so that only this entry is the operator's."""
    if POLICY_FINALIZER in item.obj["metadata"].get("finalizers", []):
        return None
    metadata = {key: item.obj["metadata"][key] for key in ("name", "namespace", "uid") if key in item.obj["metadata"]}
    obj = {key: item.obj[key] for key in ("apiVersion", "kind")}
    return Action(verb="apply", obj=obj | {"metadata": metadata | {"finalizers": [POLICY_FINALIZER]}})


def _access(policy: RiskAuditPolicy, state: State, workloads: Iterable[WorkloadPlan]) -> tuple[Object, ...]:
    """Every matched workload may report, blocked or not: how else would its report say that it is Invalid?"""
    accounts = [state.workloads[workload.key].service_account for workload in workloads]
    return (role(policy), role_binding(policy, accounts)) if accounts else ()


def _alerts(policy: RiskAuditPolicy, state: State, workloads: Iterable[WorkloadPlan]) -> tuple[Object, ...]:
    names = [workload.key.name for workload in workloads]
    if not names or not policy.spec.monitoring.enabled or state.rules is None:
        return ()
    return (prometheus_rule(policy, names),)


def _to_apply(objects: Iterable[Object], state: State) -> tuple[Action, ...]:
    return tuple(Action(verb="apply", obj=obj, force=True) for obj in objects if not is_applied(obj, state.live(obj)))


def _name_taken(policy: RiskAuditPolicy, objects: Iterable[Object], state: State) -> Finding | None:
    """Someone else's object has the name that the policy's needs; it is not touched."""
    for obj in objects:
        live = state.live(obj)
        if live is not None and not _made_for(policy.metadata.name, live):
            what = f"{obj['kind']} {obj['metadata']['name']}"
            return Finding(
                reason="NameTaken",
                message=f"{what} exists and was not made for this policy: rename or delete it, and the operator "
                "makes its own",
            )
    return None


def _made_for(policy: str, obj: Object) -> bool:
    labels = obj["metadata"].get("labels") or {}
    return labels.get(MANAGED_BY_LABEL) == MANAGER and labels.get(POLICY_LABEL) == policy


def _prunes(policy: str, state: State, wanted: Iterable[Object]) -> Iterable[Chain]:
    """Objects made for the policy that it does not want any more. Claims are never among them."""
    keep = {(obj["kind"], obj["metadata"]["name"]) for obj in wanted}
    for obj in state.made_objects():
        name = obj["metadata"]["name"]
        gone = bool(obj["metadata"].get("deletionTimestamp"))
        if _made_for(policy, obj) and (obj["kind"], name) not in keep and not gone:
            yield Chain(subject=f"{obj['kind']}/{name}", actions=(Action(verb="delete", obj=obj),))
