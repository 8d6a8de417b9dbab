"""Gather the state of a namespace: a few lists, and pods and volumes only of the workloads that a policy covers."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from riskbus_operator.api.errors import InvalidObjectError
from riskbus_operator.api.policy import RiskAuditPolicy
from riskbus_operator.desired.claim import claim_name
from riskbus_operator.desired.names import Object
from riskbus_operator.policy.selection import matches
from riskbus_operator.policy.state import State, Workload, WorkloadKey

from .client import Cluster
from .errors import ApiError


async def gather(cluster: Cluster, namespace: str) -> State:
    """The namespace as it is now.

    Raises:
        ApiError: A list could not be had; half a state would make a wrong plan.
    """
    kinds = ("RiskAuditPolicy", "Deployment", "StatefulSet", "PersistentVolumeClaim", "RiskAuditReport", "Role")
    async with asyncio.TaskGroup() as group:
        lists = {kind: group.create_task(cluster.list(kind, namespace)) for kind in (*kinds, "RoleBinding")}
        classes = group.create_task(cluster.list("StorageClass"))
        rules = group.create_task(_rules(cluster, namespace))
    found = {kind: task.result() for kind, task in lists.items()}
    workloads = {workload.key: workload for workload in map(Workload, (*found["Deployment"], *found["StatefulSet"]))}
    claims = _by_name(found["PersistentVolumeClaim"])
    covered = _covered(found["RiskAuditPolicy"], workloads)
    return State(
        namespace=namespace,
        now=datetime.now(UTC),
        policies=tuple(found["RiskAuditPolicy"]),
        workloads=workloads,
        claims=claims,
        volumes=await _volumes(cluster, covered, claims),
        storage_classes=_by_name(classes.result()),
        pods=await _pods(cluster, namespace, covered),
        reports=_by_name(found["RiskAuditReport"]),
        roles=_by_name(found["Role"]),
        role_bindings=_by_name(found["RoleBinding"]),
        rules=rules.result(),
    )


def _by_name(objects: Iterable[Object]) -> dict[str, Object]:
    return {obj["metadata"]["name"]: obj for obj in objects}


async def _rules(cluster: Cluster, namespace: str) -> dict[str, Object] | None:
    """PrometheusRules by name; None while the cluster does not have the kind."""
    try:
        return _by_name(await cluster.list("PrometheusRule", namespace))
    except ApiError as error:
        if error.missing:
            return None
        raise


def _covered(policies: Iterable[Object], workloads: Mapping[WorkloadKey, Workload]) -> list[Workload]:
    """Workloads that a policy matches."""
    models = list(_readable(policies))
    return [workload for workload in workloads.values() if any(matches(policy, workload) for policy in models)]


async def _volumes(cluster: Cluster, workloads: Iterable[Workload], claims: Mapping[str, Object]) -> dict[str, Object]:
    """Volumes behind the claims of the covered workloads, one by one: the cluster may have thousands of others."""
    found: dict[str, Object] = {}
    for name in (claim_name(workload.key.name) for workload in workloads):
        volume = claims.get(name, {}).get("spec", {}).get("volumeName")
        if volume is None:
            continue
        try:
            found[name] = await cluster.get("PersistentVolume", "", volume)
        except ApiError as error:
            if not error.missing:  # a claim whose volume is gone is Lost, and its phase says so
                raise
    return found


async def _pods(
    cluster: Cluster, namespace: str, workloads: Iterable[Workload]
) -> dict[WorkloadKey, tuple[Object, ...]]:
    """Pods of the covered workloads, selected by the API server: a namespace may have thousands of others."""
    found: dict[WorkloadKey, tuple[Object, ...]] = {}
    for workload in workloads:
        selector = label_selector(workload.obj["spec"]["selector"])
        found[workload.key] = tuple(await cluster.list("Pod", namespace, selector=selector))
    return found


def _readable(policies: Iterable[Object]) -> Iterable[RiskAuditPolicy]:
    for obj in policies:
        try:
            yield RiskAuditPolicy.parse(obj)
        except InvalidObjectError:  # the plan says so in its status
            continue


def label_selector(selector: Object) -> str:
    """A workload's `spec.selector` as the API server takes it in a query."""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for requirement in selector.get("matchExpressions") or ():
        key, values = requirement["key"], ",".join(requirement.get("values") or ())
        parts.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }[requirement["operator"]]
        )
    return ",".join(parts)
