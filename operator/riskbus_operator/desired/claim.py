"""The PersistentVolumeClaim of one workload: it holds the audit log, and nothing the operator does deletes it."""

from riskbus_operator.api.policy import RiskAuditPolicy

from .names import WORKLOAD_ANNOTATION, Object, labels, suffixed


def claim_name(workload: str) -> str:
    """Name of the claim of the workload with this name."""
    return suffixed(workload, "-risk-audit")


def claim(policy: RiskAuditPolicy, *, kind: str, workload: str, size: str) -> Object:
    """The claim of a workload, without an owner: evidence outlives the policy, the workload and the operator.

    Args:
        policy: The policy that asks for it.
        kind: Kind of the workload.
        workload: Name of the workload.
        size: What to request; the policy's size, or more where the claim has grown beyond it.
    """
    volume = policy.spec.volume
    spec: Object = {
        "accessModes": [str(mode) for mode in volume.access_modes],
        "resources": {"requests": {"storage": size}},
    }
    if volume.storage_class_name is not None:
        spec["storageClassName"] = volume.storage_class_name
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": claim_name(workload),
            "namespace": policy.metadata.namespace,
            "labels": labels(policy),
            "annotations": {WORKLOAD_ANNOTATION: f"{kind}/{workload}"},
        },
        "spec": spec,
    }
