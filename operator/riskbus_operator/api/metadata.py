"""The part of Kubernetes' object metadata that the operator reads and writes."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from .model import Model

GROUP = "riskbus.io"
VERSION = "v1alpha1"
API_VERSION: Literal["riskbus.io/v1alpha1"] = "riskbus.io/v1alpha1"
CATEGORY = "risk-audit"

POLICY_LABEL = f"{GROUP}/policy"
POLICY_FINALIZER = f"{GROUP}/policy"


class OwnerReference(Model):
    """The object that this one goes with."""

    api_version: str
    kind: str
    name: str
    uid: str


class ObjectMeta(Model):
    """Metadata of an object; the API server owns most of it."""

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    labels: dict[str, str] = Field(default={})
    annotations: dict[str, str] = Field(default={})
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
