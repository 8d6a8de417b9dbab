"""Names, labels and owners that the operator's objects share."""

import hashlib
from typing import Any

from riskbus_operator.api.metadata import API_VERSION, GROUP, POLICY_LABEL
from riskbus_operator.api.policy import RiskAuditPolicy

Object = dict[str, Any]
"""An object of the cluster as decoded JSON."""

MANAGER = "riskbus-operator"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
INJECT_LABEL = f"{GROUP}/inject"
WORKLOAD_ANNOTATION = f"{GROUP}/workload"

# Every kind that the operator makes may be 253 characters long, but names of 63 fit everywhere a person puts them.
MAX_NAME = 63
_DIGEST = 8


def suffixed(base: str, suffix: str) -> str:
    """`base` and `suffix`, shortened to 63 characters where needed; different bases never give the same name.

    A shortened name ends in a digest of the whole base, so it is as stable as the base is.
    """
    if len(base) + len(suffix) <= MAX_NAME:
        return base + suffix
    digest = hashlib.sha256(base.encode()).hexdigest()[:_DIGEST]
    kept = base[: MAX_NAME - len(suffix) - _DIGEST - 1].rstrip("-.")
    return f"{kept}-{digest}{suffix}"


def labels(policy: RiskAuditPolicy) -> dict[str, str]:
    """Labels of every object that is made for the policy."""
    return {MANAGED_BY_LABEL: MANAGER, POLICY_LABEL: policy.metadata.name}


def owner(policy: RiskAuditPolicy) -> Object:
    """Owner reference to the policy: what carries it goes when the policy goes. Never for a claim."""
    return {
        "apiVersion": API_VERSION,
        "kind": policy.kind,
        "name": policy.metadata.name,
        "uid": policy.metadata.uid,
    }


def owned_metadata(policy: RiskAuditPolicy, name: str) -> Object:
    """Metadata of an object that lives and dies with the policy."""
    metadata: Object = {"name": name, "namespace": policy.metadata.namespace, "labels": labels(policy)}
    if policy.metadata.uid:  # a policy from a file has none yet
        metadata["ownerReferences"] = [owner(policy)]
    return metadata
