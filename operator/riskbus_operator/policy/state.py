"""The state of one namespace, as it is gathered: everything that the plan and the status are made from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from riskbus_operator.desired.names import INJECT_LABEL, Object


@dataclass(frozen=True, kw_only=True)
class WorkloadKey:
    """Which workload: its kind and its name within the namespace."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True)
class Workload:
    """A read-only view of a Deployment or StatefulSet."""

    obj: Object

    @property
    def key(self) -> WorkloadKey:
        """Kind and name."""
        return WorkloadKey(kind=self.obj["kind"], name=self.obj["metadata"]["name"])

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels of the workload itself, not of its pods."""
        return self.obj["metadata"].get("labels") or {}

    @property
    def uid(self) -> str:
        """The uid; empty for an object from a file."""
        return str(self.obj["metadata"].get("uid", ""))

    @property
    def opted_out(self) -> bool:
        """Whether the user keeps the operator's hands off it by label."""
        return self.labels.get(INJECT_LABEL) == "false"

    @property
    def replicas(self) -> int:
        """Pods asked for; Kubernetes' default is 1."""
        return int(self.obj["spec"].get("replicas", 1))

    @property
    def pod_spec(self) -> Object:
        """The pod template's spec."""
        spec: Object = self.obj["spec"]["template"]["spec"]
        return spec

    @property
    def containers(self) -> tuple[Object, ...]:
        """The template's containers, without init containers."""
        return tuple(self.pod_spec.get("containers") or ())

    @property
    def init_containers(self) -> tuple[Object, ...]:
        """The template's init containers."""
        return tuple(self.pod_spec.get("initContainers") or ())

    @property
    def service_account(self) -> str:
        """The service account that its pods run as."""
        return str(self.pod_spec.get("serviceAccountName") or "default")

    @property
    def rolled_out(self) -> bool:
        """Whether every pod that it asks for runs the present template and is ready."""
        status = self.obj.get("status", {})
        return bool(
            status.get("observedGeneration", 0) >= self.obj["metadata"].get("generation", 0)
            and status.get("updatedReplicas", 0) >= self.replicas
            and status.get("replicas", 0) <= max(status.get("updatedReplicas", 0), self.replicas)
            and status.get("readyReplicas", 0) >= self.replicas
        )


@dataclass(frozen=True, kw_only=True)
class State:
    """One namespace at one moment.

    Attributes:
        namespace: Its name.
        now: When it was gathered, in UTC.
        policies: Every RiskAuditPolicy, as decoded JSON.
        workloads: Every Deployment and StatefulSet.
        claims: Every PersistentVolumeClaim by name.
        volumes: The PersistentVolume behind each bound claim, by the claim's name.
        storage_classes: Every StorageClass of the cluster by name.
        pods: Pods of the workloads that a policy covers.
        reports: Every RiskAuditReport by the name of its pod.
        roles: Every Role by name.
        role_bindings: Every RoleBinding by name.
        rules: Every PrometheusRule by name; None where the cluster does not have the kind.
    """

    namespace: str
    now: datetime
    policies: tuple[Object, ...] = ()
    workloads: Mapping[WorkloadKey, Workload] = field(default_factory=dict)
    claims: Mapping[str, Object] = field(default_factory=dict)
    volumes: Mapping[str, Object] = field(default_factory=dict)
    storage_classes: Mapping[str, Object] = field(default_factory=dict)
    pods: Mapping[WorkloadKey, tuple[Object, ...]] = field(default_factory=dict)
    reports: Mapping[str, Object] = field(default_factory=dict)
    roles: Mapping[str, Object] = field(default_factory=dict)
    role_bindings: Mapping[str, Object] = field(default_factory=dict)
    rules: Mapping[str, Object] | None = field(default_factory=dict)

    def live(self, obj: Object) -> Object | None:
        """The object of the cluster with the kind and name of this one, if there is one."""
        name = obj["metadata"]["name"]
        kind = obj["kind"]
        if kind in ("Deployment", "StatefulSet"):
            workload = self.workloads.get(WorkloadKey(kind=kind, name=name))
            return workload.obj if workload else None
        return {
            "PersistentVolumeClaim": self.claims,
            "Role": self.roles,
            "RoleBinding": self.role_bindings,
            "PrometheusRule": self.rules or {},
        }[kind].get(name)

    def made_objects(self) -> Iterator[Object]:
        """Objects of the kinds that live and die with a policy (claims do not)."""
        yield from (self.rules or {}).values()
        yield from self.role_bindings.values()
        yield from self.roles.values()
