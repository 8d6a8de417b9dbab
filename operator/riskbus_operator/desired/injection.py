"""The part of a pod template that the operator owns: environment, mounts and volumes of the audit log.

Two volumes: the claim that keeps the log, and memory of the pod's in which records wait for it. The memory outlives
the container, so that what a killed process had accepted is written by the one that comes after it.
"""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field

from riskbus_operator.api.audit import STAGING_DIRECTORY
from riskbus_operator.api.policy import RiskAuditPolicy
from riskbus_operator.api.storage import AccessMode

from .claim import claim_name
from .environment import environment
from .names import Object

VOLUME_NAME = "risk-audit"
STAGING_VOLUME_NAME = "risk-audit-staging"

# A bound, not a reservation: a process takes 16 MiB of it, and one that was killed leaves its own to the next.
_STAGING_LIMIT = "128Mi"


@dataclass(frozen=True, kw_only=True)
class ContainerPart:
    """What one container gets.

    Attributes:
        env: Entries for its environment.
        mounts: Entries for its volumeMounts.
        init: Whether it is one of the pod template's initContainers.
    """

    env: tuple[Object, ...]
    mounts: tuple[Object, ...]
    init: bool = False


@dataclass(frozen=True, kw_only=True)
class Injection:
    """What a workload's pod template gets.

    Attributes:
        containers: By container's name; only containers that the template has.
        volumes: Entries for the pod's volumes.
    """

    containers: Mapping[str, ContainerPart] = field(default_factory=dict)
    volumes: tuple[Object, ...] = ()


def audit_directory(policy: RiskAuditPolicy) -> str:
    """Where the volume is mounted: the directory of the log."""
    return posixpath.dirname(policy.spec.audit.log_path)


def several_writers(policy: RiskAuditPolicy) -> bool:
    """Whether the claim can be held by several pods at once, on any node."""
    return AccessMode.READ_WRITE_MANY in policy.spec.volume.access_modes


def per_pod_directory(policy: RiskAuditPolicy) -> bool:
    """Whether each pod gets a directory of its own.

    Unset, it follows the access modes: one writer goes on in the directory of the pod before it.
    """
    chosen = policy.spec.injection.per_pod_directory
    return several_writers(policy) if chosen is None else chosen


def injection(
    policy: RiskAuditPolicy, *, workload: str, containers: tuple[str, ...], init_containers: tuple[str, ...] = ()
) -> Injection:
    """Everything that the policy wants in the pod template of the workload, for these containers."""
    mount: Object = {"name": VOLUME_NAME, "mountPath": audit_directory(policy)}
    if per_pod_directory(policy):
        mount["subPathExpr"] = "$(POD_NAME)"
    staging: Object = {"name": STAGING_VOLUME_NAME, "mountPath": STAGING_DIRECTORY}
    return Injection(
        containers={
            name: ContainerPart(
                env=tuple(environment(policy, name)), mounts=(dict(mount), dict(staging)), init=name in init_containers
            )
            for name in (*containers, *init_containers)
        },
        volumes=(
            {"name": VOLUME_NAME, "persistentVolumeClaim": {"claimName": claim_name(workload)}},
            {"name": STAGING_VOLUME_NAME, "emptyDir": {"medium": "Memory", "sizeLimit": _STAGING_LIMIT}},
        ),
    )


def template_spec(wanted: Injection) -> Object:
    """The injection as the `spec` of a workload; empty if nothing is injected."""
    lists: dict[str, list[Object]] = {"initContainers": [], "containers": []}
    for name, part in wanted.containers.items():
        if part.env or part.mounts:
            fields = _without_empty({"env": list(part.env), "volumeMounts": list(part.mounts)})
            lists["initContainers" if part.init else "containers"].append({"name": name} | fields)
    pod = _without_empty(lists | {"volumes": list(wanted.volumes)})
    return {"template": {"spec": pod}} if pod else {}


def _without_empty(fields: dict[str, list[Object]]) -> Object:
    return {name: value for name, value in fields.items() if value}


def workload_patch(*, kind: str, namespace: str, name: str, uid: str, wanted: Injection) -> Object:
    """The one merged apply for a workload; with an empty injection it takes everything of the operator's out.

    The uid is a precondition: without it, server-side apply would create a workload that was deleted meanwhile.
    """
    metadata = {"name": name, "namespace": namespace} | ({"uid": uid} if uid else {})
    patch: Object = {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata}
    if spec := template_spec(wanted):
        patch["spec"] = spec
    return patch
