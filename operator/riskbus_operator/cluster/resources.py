"""Paths of the kinds that the operator reads and writes."""

from dataclasses import dataclass
from urllib.parse import quote

from riskbus_operator.desired.names import Object


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One kind: where the API server has it."""

    kind: str
    api_version: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Path of a collection, an object, or an object's subresource; without a namespace, of all of them."""
        root = "/api" if "/" not in self.api_version else "/apis"
        scope = ("namespaces", namespace) if self.namespaced and namespace else ()
        parts = (root, self.api_version, *scope, self.plural, name, subresource)
        return "/".join(quote(part, safe="/") for part in parts if part)


_RBAC = "rbac.authorization.k8s.io/v1"
_ALL = (
    Resource(kind="RiskAuditPolicy", api_version="riskbus.io/v1alpha1", plural="riskauditpolicies"),
    Resource(kind="RiskAuditReport", api_version="riskbus.io/v1alpha1", plural="riskauditreports"),
    Resource(kind="Deployment", api_version="apps/v1", plural="deployments"),
    Resource(kind="StatefulSet", api_version="apps/v1", plural="statefulsets"),
    Resource(kind="PersistentVolumeClaim", api_version="v1", plural="persistentvolumeclaims"),
    Resource(kind="PersistentVolume", api_version="v1", plural="persistentvolumes", namespaced=False),
    Resource(kind="Pod", api_version="v1", plural="pods"),
    Resource(kind="StorageClass", api_version="storage.k8s.io/v1", plural="storageclasses", namespaced=False),
    Resource(kind="Role", api_version=_RBAC, plural="roles"),
    Resource(kind="RoleBinding", api_version=_RBAC, plural="rolebindings"),
    Resource(kind="PrometheusRule", api_version="monitoring.coreos.com/v1", plural="prometheusrules"),
    Resource(kind="Lease", api_version="coordination.k8s.io/v1", plural="leases"),
    Resource(kind="Event", api_version="events.k8s.io/v1", plural="events"),
)
RESOURCES = {resource.kind: resource for resource in _ALL}


def path_of(obj: Object, subresource: str = "") -> str:
    """Path of an object of a known kind."""
    metadata = obj["metadata"]
    return RESOURCES[obj["kind"]].path(metadata.get("namespace", ""), metadata["name"], subresource)
