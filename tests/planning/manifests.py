"""Objects for the tests of planning, and what a server-side apply makes of them."""

from collections.abc import Iterable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from riskbus_operator.api.metadata import POLICY_FINALIZER
from riskbus_operator.desired.names import MANAGER
from riskbus_operator.policy.state import State, Workload, WorkloadKey

Object = dict[str, Any]

NOW = datetime(2026, 1, 15, 14, 30, tzinfo=UTC)
DIRECTORY = "/var/log/intraday-jules"
LIST_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
}


def policy(name: str = "intraday", *, created: str = "2026-01-01T00:00:00Z", **spec: Any) -> Object:
    """A policy that selects app=intraday-jules; keywords replace or add sections of its spec."""
    defaults = {
        "workloads": {"selector": {"matchLabels": {"app": "intraday-jules"}}},
        "audit": {"logPath": f"{DIRECTORY}/risk_audit.jsonl"},
        "volume": {"size": "50Gi", "storageClassName": "fast-ssd"},
    }
    return {
        "apiVersion": "riskbus.io/v1alpha1",
        "kind": "RiskAuditPolicy",
        "metadata": {
            "name": name,
            "namespace": "trading",
            "uid": f"uid-of-{name}",
            "generation": 3,
            "creationTimestamp": created,
            "finalizers": [POLICY_FINALIZER],
        },
        "spec": defaults | spec,
    }


def deployment(name: str = "intraday-jules", **spec: Any) -> Object:
    """A Deployment of one pod with one container `jules` that can hold a ReadWriteOnce claim; settled."""
    return _workload("Deployment", name, {"strategy": {"type": "Recreate"}} | spec)


def stateful_set(name: str = "intraday-jules", **spec: Any) -> Object:
    """A StatefulSet of one pod with one container `jules`; settled."""
    return _workload("StatefulSet", name, {"serviceName": name} | spec)


def _workload(kind: str, name: str, spec: Object) -> Object:
    replicas = spec.get("replicas", 1)
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "trading",
            "uid": f"uid-of-{name}",
            "generation": 1,
            "labels": {"app": "intraday-jules"},
            "managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {}}}],
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "jules", "image": "jules:1"}]},
            },
        }
        | spec,
        "status": {
            "observedGeneration": 1,
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": replicas,
        },
    }


def user_sets(workload: Object, section: str, *entries: Object, manager: str = "kubectl") -> Object:
    """The workload with entries of the user's own in the first container's env or volumeMounts, or in the volumes."""
    changed = deepcopy(workload)
    pod = changed["spec"]["template"]["spec"]
    holder = pod if section == "volumes" else pod["containers"][0]
    holder.setdefault(section, []).extend(entries)
    key = LIST_KEYS[section]
    steps: Object = {f'k:{{"{key}":"{entry[key]}"}}': {".": {}} for entry in entries}
    owned = {f"f:{section}": steps}
    if section != "volumes":
        owned = {"f:containers": {f'k:{{"name":"{holder["name"]}"}}': owned}}
    fields = {"f:spec": {"f:template": {"f:spec": owned}}}
    changed["metadata"]["managedFields"].append({"manager": manager, "operation": "Update", "fieldsV1": fields})
    return changed


def pod(name: str = "intraday-jules-0", *, injected: bool = True, **status: Any) -> Object:
    """A running pod."""
    volumes = [{"name": "risk-audit"}] if injected else []
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "trading", "uid": f"uid-of-{name}"},
        "spec": {"volumes": volumes},
        "status": {"phase": "Running"} | status,
    }


def report(name: str = "intraday-jules-0", *, observed_at: str = "2026-01-15T14:29:30Z", **mount: Any) -> Object:
    """The report of the pod with this name."""
    return {
        "apiVersion": "riskbus.io/v1alpha1",
        "kind": "RiskAuditReport",
        "metadata": {
            "name": name,
            "namespace": "trading",
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": name, "uid": f"uid-of-{name}"}],
        },
        "observedAt": observed_at,
        "riskbusVersion": "0.1.0",
        "container": "jules",
        "mount": {
            "verdict": "Valid",
            "reason": "DurableVolume",
            "message": "the audit log is on durable storage",
            "path": f"{DIRECTORY}/risk_audit.jsonl",
            "capacityBytes": 1000,
            "freeBytes": 750,
        }
        | mount,
    }


def claim(
    name: str = "intraday-jules-risk-audit", *, workload: str = "Deployment/intraday-jules", **spec: Any
) -> Object:
    """A bound claim, as the operator would have made it."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name,
            "namespace": "trading",
            "labels": {"app.kubernetes.io/managed-by": MANAGER, "riskbus.io/policy": "intraday"},
            "annotations": {"riskbus.io/workload": workload},
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "50Gi"}},
            "storageClassName": "fast-ssd",
        }
        | spec,
        "status": {"phase": "Bound", "capacity": {"storage": "50Gi"}},
    }


def volume(reclaim: str, *, claim: str = "intraday-jules-risk-audit") -> Object:
    """The PersistentVolume behind a claim."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"pv-of-{claim}"},
        "spec": {"claimRef": {"name": claim}, "persistentVolumeReclaimPolicy": reclaim},
    }


def state(*objects: Object, pods: Iterable[Object] = (), rules: bool = True) -> State:
    """The namespace `trading` with these objects; the pods are those of the first workload."""
    by_kind: dict[str, list[Object]] = {}
    for obj in objects:
        by_kind.setdefault(obj["kind"], []).append(obj)
    named = {kind: {obj["metadata"]["name"]: obj for obj in items} for kind, items in by_kind.items()}
    workloads = [Workload(obj) for kind in ("Deployment", "StatefulSet") for obj in by_kind.get(kind, ())]
    first = [workload.key for workload in workloads][:1]
    return State(
        namespace="trading",
        now=NOW,
        policies=tuple(by_kind.get("RiskAuditPolicy", ())),
        workloads={workload.key: workload for workload in workloads},
        claims=named.get("PersistentVolumeClaim", {}),
        volumes={volume["spec"]["claimRef"]["name"]: volume for volume in by_kind.get("PersistentVolume", ())},
        storage_classes=named.get("StorageClass", {"fast-ssd": {"metadata": {"name": "fast-ssd"}}}),
        pods=dict.fromkeys(first, tuple(pods)),
        reports=named.get("RiskAuditReport", {}),
        roles=named.get("Role", {}),
        role_bindings=named.get("RoleBinding", {}),
        rules=named.get("PrometheusRule", {}) if rules else None,
    )


def key(name: str = "intraday-jules", kind: str = "Deployment") -> WorkloadKey:
    """Key of a workload."""
    return WorkloadKey(kind=kind, name=name)


def applied(patch: Object, live: Object | None = None) -> Object:
    """What the API server has after the operator's first apply: values merged, ownership written down.

    It takes nothing away: what becomes of fields that are no longer applied is shown on a real API server.
    """
    before = deepcopy(live) if live else {part: patch[part] for part in ("apiVersion", "kind")} | {"metadata": {}}
    after: Object = _merged(before, patch)
    metadata = after["metadata"]
    metadata.setdefault("uid", f"uid-of-{metadata['name']}")
    others = [entry for entry in metadata.get("managedFields", ()) if entry["manager"] != MANAGER]
    parts = {name: value for name, value in patch.items() if name not in ("apiVersion", "kind", "metadata")}
    labelled = {name: value for name, value in patch["metadata"].items() if name not in ("name", "namespace", "uid")}
    fields = _fields(parts | ({"metadata": labelled} if labelled else {}))
    ours = [{"manager": MANAGER, "operation": "Apply", "fieldsV1": fields}] if fields else []
    metadata["managedFields"] = others + ours
    return after


def _merged(live: Any, patch: Any, name: str = "") -> Any:
    if isinstance(patch, dict) and isinstance(live, dict):
        return live | {part: _merged(live.get(part), value, part) for part, value in patch.items()}
    if isinstance(patch, list) and isinstance(live, list) and name in LIST_KEYS:
        by = LIST_KEYS[name]
        old = {item[by]: item for item in live}
        new = {item[by]: _merged(old.get(item[by]), item) for item in patch}
        return list((old | new).values())
    return deepcopy(patch)


def _fields(value: Object) -> Object:
    """FieldsV1 of an applied value, as the API server writes it."""
    return {f"f:{name}": _fields_of(name, part) for name, part in value.items()}


def _fields_of(name: str, part: Any) -> Object:
    if isinstance(part, dict) and name != "fieldRef":
        return _fields(part)
    if isinstance(part, list) and name in LIST_KEYS and all(LIST_KEYS[name] in item for item in part):
        by = LIST_KEYS[name]
        return {f'k:{{"{by}":"{item[by]}"}}': {".": {}} | _fields(item) for item in part}
    return {}
