"""The environment that turns a policy's `audit` section into settings of the library in the container."""

from riskbus_operator.api.audit import STAGING_DIRECTORY, Writer
from riskbus_operator.api.policy import RiskAuditPolicy
from riskbus_operator.api.quantity import size_in_bytes

from .names import Object

# Declared first, because later variables and subPathExpr refer to them. Kubernetes fills in `apiVersion: v1`
# itself: it is written out so that what is read back equals what was applied.
_FROM_POD = {
    "POD_NAME": "metadata.name",
    "POD_NAMESPACE": "metadata.namespace",
    "POD_UID": "metadata.uid",
    "NODE_NAME": "spec.nodeName",
}

_WRITERS = {Writer.IN_PROCESS: "thread", Writer.CHILD_PROCESS: "process"}


def environment(policy: RiskAuditPolicy, container: str) -> list[Object]:
    """Entries for the `env` of one container, in the order in which they should stand."""
    from_pod: list[Object] = [
        {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
        for name, path in _FROM_POD.items()
    ]
    return from_pod + [{"name": name, "value": value} for name, value in _settings(policy, container).items()]


def _settings(policy: RiskAuditPolicy, container: str) -> dict[str, str]:
    audit = policy.spec.audit
    return {
        "RISK_AUDIT_LOG_PATH": audit.log_path,
        "RISK_AUDIT_DURABILITY": audit.durability.lower(),
        "RISK_AUDIT_ROTATION_MAX_SIZE": str(size_in_bytes(audit.rotation.max_size)),
        "RISK_AUDIT_ROTATION_MAX_AGE": audit.rotation.max_age,
        "RISK_AUDIT_ROTATION_COMPRESS": "true" if audit.rotation.compress else "false",
        "RISK_AUDIT_WRITER": _WRITERS[policy.spec.injection.writer],
        "RISK_AUDIT_STAGING_DIR": STAGING_DIRECTORY,
        "RISK_AUDIT_POLICY": policy.metadata.name,
        "RISK_AUDIT_REPORT_INTERVAL": policy.spec.validation.interval,
        "RISK_AUDIT_CONTAINER": container,
        **({"RISK_AUDIT_RETENTION_DAYS": str(days)} if (days := policy.spec.retention.days) else {}),
        **dict(sorted(audit.env.items())),
    }
