"""RiskAuditPolicy: what a user asks for, and what the operator says became of it."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .conditions import Condition
from .metadata import API_VERSION, ObjectMeta
from .model import Model, Rule
from .spec import PolicySpec

PLURAL = "riskauditpolicies"
MAX_FAILURES = 20
NOT_FILLED = "not filled in yet in v0.1"


Count = Annotated[int, Field(ge=0)]


class WorkloadCounts(Model):
    """Workloads of the policy, counted."""

    matched: Annotated[Count, Field(description="Workloads that the policy covers.")] = 0
    injected: Annotated[Count, Field(description="Of these, those whose template carries the policy's settings.")] = 0
    pending: Annotated[Count, Field(description="Of these, those whose rollout is not finished.")] = 0
    blocked: Annotated[Count, Field(description="Of these, those left as they are; status.failures says why.")] = 0


class PodCounts(Model):
    """Pods of the policy's workloads, counted."""

    expected: Annotated[Count, Field(description="Pods that there should be.")] = 0
    reporting: Annotated[Count, Field(description="Pods with a report.")] = 0
    valid: Annotated[Count, Field(description="Pods that write to durable storage.")] = 0
    degraded: Annotated[Count, Field(description="Pods that write to storage with a weakness.")] = 0
    invalid: Annotated[Count, Field(description="Pods that do not write to durable storage.")] = 0
    stale: Annotated[Count, Field(description="Pods whose report is three intervals old or older.")] = 0


class VolumeStatus(Model):
    """One claim of the policy."""

    claim: Annotated[str, Field(max_length=253, description="Name of the PersistentVolumeClaim.")]
    phase: Annotated[Literal["Pending", "Bound", "Lost"], Field(description="Phase of the claim.")] = "Pending"
    capacity: Annotated[str | None, Field(max_length=20, description="Capacity of the bound volume.")] = None
    used_percent: Annotated[
        int | None, Field(ge=0, le=100, description="Share of the volume in use, as its pod reports it.")
    ] = None
    retain_until: Annotated[
        datetime | None, Field(description=f"When the records written until now may go; {NOT_FILLED}.")
    ] = None
    reclaim_policy: Annotated[
        str | None,
        Field(max_length=20, description="What becomes of the volume if the claim is deleted: Retain or Delete."),
    ] = None


class Failure(Model):
    """One thing that is wrong, and with what."""

    pod: Annotated[str, Field(max_length=253, description="Name of the pod, or Kind/name of a workload.")]
    reason: Annotated[str, Field(max_length=128, description="Why, in one word for programs.")]
    message: Annotated[str, Field(max_length=1024, description="What is wrong and what to do, for people.")]


class EffectiveRetention(Model):
    """The retention that the policy and the workloads add up to."""

    days: Annotated[
        Count | None,
        Field(
            description="Days that every record is kept, at least: the fewest of all containers; unset if the template "
            "of one does not tell."
        ),
    ] = None
    basis: Annotated[
        tuple[Annotated[str, Field(max_length=512)], ...],
        Field(
            max_length=16, description="What the number rests on, what stays longer, and what it does not withstand."
        ),
    ] = ()


class PolicyStatus(Model):
    """What the operator found and did; written by the operator alone."""

    observed_generation: Annotated[
        int | None, Field(ge=0, description="The metadata.generation that this status is about.")
    ] = None
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            max_length=16,
            description="Ready sums up the others.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = ()
    workloads: Annotated[WorkloadCounts | None, Field(description="Workloads, counted.")] = None
    pods: Annotated[PodCounts | None, Field(description="Pods, counted.")] = None
    volumes: Annotated[tuple[VolumeStatus, ...], Field(max_length=512, description="Claims of the policy.")] = ()
    failures: Annotated[
        tuple[Failure, ...], Field(max_length=MAX_FAILURES, description="What is wrong; at most 20 are listed.")
    ] = ()
    effective_retention: Annotated[
        EffectiveRetention | None,
        Field(description="What the retention adds up to; unset while no workload carries it."),
    ] = None


class RiskAuditPolicy(Model):
    """Durable, checked storage for the audit logs of the workloads that it selects."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="size(self.metadata.name) <= 63",
            message="the policy's name becomes a label's value: give it at most 63 characters",
            holds=lambda self: len(self.metadata.name) <= 63,  # noqa: PLR2004 - named in the message
        ),
    )
    api_version: Literal["riskbus.io/v1alpha1"] = API_VERSION
    kind: Literal["RiskAuditPolicy"] = "RiskAuditPolicy"
    metadata: ObjectMeta
    spec: Annotated[PolicySpec, Field(description="What is asked for.")]
    status: Annotated[PolicyStatus, Field(description="What was found and done.")] = PolicyStatus()
