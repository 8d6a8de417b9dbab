"""Role and RoleBinding that let the policy's workloads write their reports, and nothing else."""

from collections.abc import Iterable

from riskbus_operator.api.metadata import GROUP
from riskbus_operator.api.policy import RiskAuditPolicy
from riskbus_operator.api.report import PLURAL

from .names import Object, owned_metadata, suffixed

_RBAC = "rbac.authorization.k8s.io"


def access_name(policy: str) -> str:
    """Name of the Role and the RoleBinding of the policy with this name."""
    return suffixed(policy, "-risk-audit-report")


def role(policy: RiskAuditPolicy) -> Object:
    """The Role: a server-side apply of a report needs `patch`, and `create` the first time.

    Names cannot be given here, as pods' names are not known; the chart's admission policy lets each pod write its
    own report only.
    """
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "Role",
        "metadata": owned_metadata(policy, access_name(policy.metadata.name)),
        "rules": [{"apiGroups": [GROUP], "resources": [PLURAL], "verbs": ["create", "get", "patch"]}],
    }


def role_binding(policy: RiskAuditPolicy, service_accounts: Iterable[str]) -> Object:
    """The RoleBinding to the service accounts that the policy's pods run as."""
    name = access_name(policy.metadata.name)
    namespace = policy.metadata.namespace
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": owned_metadata(policy, name),
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": name},
        "subjects": [
            {"kind": "ServiceAccount", "name": account, "namespace": namespace}
            for account in sorted(set(service_accounts))
        ],
    }
