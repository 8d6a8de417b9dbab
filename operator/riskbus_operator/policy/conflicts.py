"""What a workload already sets itself and the policy would set otherwise. The user's value is never reset."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from riskbus_operator.api.audit import STAGING_DIRECTORY
from riskbus_operator.desired.injection import ContainerPart, Injection
from riskbus_operator.desired.names import Object

from .ownership import has_managers, item_step, others_own
from .state import Workload

Path = tuple[str, ...]
"""Steps into an object, as FieldsV1 spells them."""

_STAGING_VARIABLE = "RISK_AUDIT_STAGING_DIR"
_POD_SPEC: Path = ("f:spec", "f:template", "f:spec")


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """One entry of the user's that differs from the policy's.

    Attributes:
        reason: EnvConflict, MountConflict or VolumeConflict.
        container: The container, or "" for the pod's volumes.
        entry: Name of the variable, path of the mount, or name of the volume.
        skippable: Whether the rest still makes sense without this entry.
        message: What is wrong and what to do.
    """

    reason: str
    container: str
    entry: str
    skippable: bool
    message: str


def conflicts(workload: Workload, wanted: Injection) -> tuple[Conflict, ...]:
    """Every conflict of the workload's template with the injection, in the template's order."""
    return tuple(_volume_conflicts(workload, wanted)) + tuple(
        conflict
        for container in (*workload.containers, *workload.init_containers)
        if container["name"] in wanted.containers
        for conflict in _container_conflicts(workload, container, wanted.containers[container["name"]])
    )


def without(wanted: Injection, skipped: tuple[Conflict, ...]) -> Injection:
    """The injection without the entries that conflict, and without what makes no sense without them."""
    left_out = {(conflict.reason, conflict.container, conflict.entry) for conflict in skipped}
    containers = {
        name: _staged_or_not(
            ContainerPart(
                env=tuple(entry for entry in part.env if ("EnvConflict", name, entry["name"]) not in left_out),
                mounts=tuple(
                    mount for mount in part.mounts if ("MountConflict", name, mount["mountPath"]) not in left_out
                ),
                init=part.init,
            )
        )
        for name, part in wanted.containers.items()
    }
    mounted = {mount["name"] for part in containers.values() for mount in part.mounts}
    volumes = tuple(volume for volume in wanted.volumes if volume["name"] in mounted)
    return replace(wanted, containers=containers, volumes=volumes)


def _staged_or_not(part: ContainerPart) -> ContainerPart:
    """Memory for staging and the variable that points there make sense together only."""
    told = any(entry["name"] == _STAGING_VARIABLE for entry in part.env)
    mounted = any(mount["mountPath"] == STAGING_DIRECTORY for mount in part.mounts)
    if told and mounted:
        return part
    return ContainerPart(
        env=tuple(entry for entry in part.env if entry["name"] != _STAGING_VARIABLE),
        mounts=tuple(mount for mount in part.mounts if mount["mountPath"] != STAGING_DIRECTORY),
        init=part.init,
    )


def _container_conflicts(workload: Workload, container: Object, part: ContainerPart) -> Iterator[Conflict]:
    path = (*_POD_SPEC, "f:initContainers" if part.init else "f:containers", item_step(name=container["name"]))
    yield from _env_conflicts(workload, container, part, (*path, "f:env"))
    yield from _mount_conflicts(workload, container, part, (*path, "f:volumeMounts"))


def _env_conflicts(workload: Workload, container: Object, part: ContainerPart, path: Path) -> Iterator[Conflict]:
    per_pod = any("subPathExpr" in mount for mount in part.mounts)
    for entry in part.env:
        theirs = _find(container.get("env", ()), "name", entry["name"])
        at = (*path, item_step(name=entry["name"]))
        if theirs is not None and _is_users(workload, theirs, entry, at):
            yield Conflict(
                reason="EnvConflict",
                container=container["name"],
                entry=entry["name"],
                skippable=not (per_pod and entry["name"] == "POD_NAME"),
                message=f"container {container['name']} of {workload.key} sets {entry['name']} to "
                f"{_shown(theirs)}{_by(workload, at)}, and the policy to {_shown(entry)}: take it out of the workload, "
                "or change the policy",
            )


def _mount_conflicts(workload: Workload, container: Object, part: ContainerPart, path: Path) -> Iterator[Conflict]:
    for mount in part.mounts:
        directory = mount["mountPath"]
        theirs = _find(container.get("volumeMounts", ()), "mountPath", directory, normal=_without_slash)
        if theirs is None:
            continue
        at = (*path, item_step(mountPath=theirs["mountPath"]))
        if _is_users(workload, theirs, mount, at):
            yield Conflict(
                reason="MountConflict",
                container=container["name"],
                entry=directory,
                skippable=True,
                message=f"container {container['name']} of {workload.key} mounts {_volume_shown(workload, theirs)} at "
                f"{directory}{_by(workload, at)}, {_way_out(directory)}",
            )


def _way_out(directory: str) -> str:
    """What the policy mounts there, and what to do."""
    if directory == STAGING_DIRECTORY:
        return "where the policy mounts memory for records on their way: mount yours elsewhere"
    return (
        "where the policy mounts the audit volume: take that mount out of the workload, or set audit.logPath to "
        "another directory"
    )


def _volume_conflicts(workload: Workload, wanted: Injection) -> Iterator[Conflict]:
    for volume in wanted.volumes:
        theirs = _find(workload.pod_spec.get("volumes", ()), "name", volume["name"])
        at = (*_POD_SPEC, "f:volumes", item_step(name=volume["name"]))
        if theirs is not None and _is_users(workload, theirs, volume, at):
            yield Conflict(
                reason="VolumeConflict",
                container="",
                entry=volume["name"],
                skippable=False,
                message=f"{workload.key} has a volume of its own named {volume['name']}{_by(workload, at)}: give it "
                "another name",
            )


def _is_users(workload: Workload, theirs: Object, ours: Object, path: Path) -> bool:
    """Whether the entry differs from ours and is not ours alone to change."""
    if _as_stored(theirs) == ours:
        return False
    return not has_managers(workload.obj) or bool(others_own(workload.obj, path))


def _by(workload: Workload, path: Path) -> str:
    owners = others_own(workload.obj, path)
    return f" (set by {', '.join(sorted(set(owners)))})" if owners else ""


def _as_stored(entry: Object) -> Object:
    """The entry with the default that the API server adds; an object from a file has not been through it."""
    field = entry.get("valueFrom", {}).get("fieldRef")
    return entry | {"valueFrom": {"fieldRef": {"apiVersion": "v1"} | field}} if field else entry


def _find(
    entries: list[Object], key: str, value: str, *, normal: Callable[[str], str] = lambda text: text
) -> Object | None:
    return next((entry for entry in entries if normal(entry[key]) == normal(value)), None)


def _without_slash(path: str) -> str:
    return path.rstrip("/")


def _shown(entry: Object) -> str:
    if "value" in entry:
        return repr(entry["value"])
    source = entry.get("valueFrom")
    return f"a value from {', '.join(source)}" if source else "''"


def _volume_shown(workload: Workload, mount: Object) -> str:
    volume = _find(workload.pod_spec.get("volumes", ()), "name", mount["name"]) or {}
    kind = next((key for key in volume if key != "name"), "volume")
    return f"{kind} {mount['name']}"
