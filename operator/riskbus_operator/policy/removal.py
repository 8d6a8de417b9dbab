"""Taking the injection out again: from workloads that carry it and should not any more."""

from collections.abc import Iterable

from riskbus_operator.desired.injection import Injection

from .actions import Action, Chain, PolicyPlan
from .ownership import owned
from .selection import Selection
from .state import State, Workload
from .workloads import patch_of

_NOBODY = ""


def removals(state: State, plans: Iterable[PolicyPlan], selection: Selection) -> dict[str, list[Chain]]:
    """Chains that remove the injection, by the name of the policy that had injected.

    Nothing is removed under a policy that still wants it, that changes nothing (Shadow), or that cannot be read.
    """
    by_name = {item.name: item for item in plans}
    blocked = {workload.key for item in by_name.values() for workload in item.workloads if workload.finding}
    found: dict[str, list[Chain]] = {}
    for key, workload in sorted(state.workloads.items(), key=lambda item: str(item[0])):
        injector = injected_by(workload)
        if injector is None:
            continue
        governor = selection.governors.get(key)
        taken_over = governor is not None and key not in blocked
        if not taken_over and not _keeps(by_name.get(injector), key in selection.matched.get(injector, ())):
            patch = patch_of(workload, Injection())
            chain = Chain(subject=str(key), actions=(Action(verb="apply", obj=patch),))
            found.setdefault(injector, []).append(chain)
    return found


def _keeps(injector: PolicyPlan | None, matches: bool) -> bool:
    """Whether the policy that injected leaves its injection where it is."""
    if injector is None or injector.deleting:
        return False
    return matches or injector.policy is None or injector.shadow


def injected_by(workload: Workload) -> str | None:
    """Name of the policy whose injection the workload carries; None if it carries none, "" if it does not say."""
    part = owned(workload.obj)
    if not part:
        return None
    pod = part.get("spec", {}).get("template", {}).get("spec", {})
    containers = (*pod.get("containers", ()), *pod.get("initContainers", ()))
    variables = [entry for container in containers for entry in container.get("env", ())]
    return next((entry["value"] for entry in variables if entry["name"] == "RISK_AUDIT_POLICY"), _NOBODY)
