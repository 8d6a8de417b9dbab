"""What the retention of a policy adds up to: read off the templates that carry it, and the volumes behind them.

What a template says is what the library in the pod is given; so a value that a workload sets itself counts, and a
value that is only asked for does not.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from riskbus_operator.api.policy import EffectiveRetention
from riskbus_operator.api.storage import LIBRARY_RETENTION_DAYS, LIBRARY_ROTATION_KEEP
from riskbus_operator.desired.names import Object

from .facts import Facts
from .state import WorkloadKey

DAYS_VARIABLE = "RISK_AUDIT_RETENTION_DAYS"
KEEP_VARIABLE = "RISK_AUDIT_ROTATION_KEEP"
_POLICY_VARIABLE = "RISK_AUDIT_POLICY"
_MAX_DIGITS = 9  # the library takes 36525 days at most
_MAX_BASIS = 16
_MAX_TEXT = 512


@dataclass(frozen=True, kw_only=True)
class _Container:
    """A container that carries the policy, and its `env` by name."""

    workload: WorkloadKey
    name: str
    env: dict[str, Object]

    def number(self, variable: str, otherwise: int) -> int | None:
        """What the library takes the variable for; None if that does not stand in the template."""
        entry = self.env.get(variable)
        if entry is None:
            return otherwise
        text = str(entry.get("value", ""))
        return int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else None


def effective_retention(facts: Facts) -> EffectiveRetention | None:
    """The retention as it is now; None while no workload carries the policy.

    The days are the fewest of all containers, and unset if those of one are not known.
    """
    containers = list(_carrying(facts))
    if not containers:
        return None
    days = [container.number(DAYS_VARIABLE, LIBRARY_RETENTION_DAYS) for container in containers]
    basis = (*_days_basis(facts, containers), *_keep_basis(containers), *_claims_basis(facts))
    return EffectiveRetention(days=_fewest(days), basis=tuple(line[:_MAX_TEXT] for line in basis[:_MAX_BASIS]))


def _carrying(facts: Facts) -> Iterator[_Container]:
    """Containers whose template names this policy, injected now or before."""
    for item in facts.plan.governed:
        workload = facts.state.workloads[item.key]
        for container in (*workload.containers, *workload.init_containers):
            env = {entry["name"]: entry for entry in container.get("env", ())}
            if env.get(_POLICY_VARIABLE, {}).get("value") == facts.plan.name:
                yield _Container(workload=item.key, name=container["name"], env=env)


def _fewest(numbers: Iterable[int | None]) -> int | None:
    known = list(numbers)
    return None if None in known else min(number for number in known if number is not None)


def _days_basis(facts: Facts, containers: Iterable[_Container]) -> Iterator[str]:
    asked = facts.policy.spec.retention.days
    yield (
        f"spec.retention.days: {asked}"
        if asked
        else f"spec.retention.days is not set: {LIBRARY_RETENTION_DAYS} days are the library's own, unless an image or "
        f"an envFrom sets {DAYS_VARIABLE}"
    )
    for container in containers:
        days = container.number(DAYS_VARIABLE, LIBRARY_RETENTION_DAYS)
        if days != (asked or LIBRARY_RETENTION_DAYS):
            told = "not a number that stands in the template" if days is None else str(days)
            where = f"{container.workload}, container {container.name}"
            yield f"{where}: {DAYS_VARIABLE} is {told}: take it out of the workload and the policy's applies"


def _keep_basis(containers: Iterable[_Container]) -> Iterator[str]:
    kept = _fewest(container.number(KEEP_VARIABLE, LIBRARY_ROTATION_KEEP) for container in containers)
    if kept is not None:
        yield f"beyond that, the newest {kept} closed segments of a log stay, however old ({KEEP_VARIABLE})"


def _claims_basis(facts: Facts) -> Iterator[str]:
    """The days hold as long as the volumes do, and those are not the operator's to keep yet."""
    on_delete = facts.policy.spec.retention.on_policy_delete
    yield f"spec.retention.onPolicyDelete: {on_delete}: the claims stay when the policy goes"
    for item in facts.plan.governed:
        claim, volume = facts.claim(item), facts.volume(item)
        if claim is not None and volume is not None and volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete":
            yield (
                f"whoever deletes the claim {claim['metadata']['name']} deletes its records: set "
                f"persistentVolumeReclaimPolicy of PersistentVolume {volume['metadata']['name']} to Retain"
            )
