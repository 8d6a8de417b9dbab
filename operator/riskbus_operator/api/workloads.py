"""Section `workloads` of a policy: which workloads it covers."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from .model import Model, Rule
from .strings import SET, DnsLabel, DnsName, LabelKey, Labels, LabelValue


class WorkloadKind(StrEnum):
    """Kinds of workload that a policy can cover."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"


class SelectorRequirement(Model):
    """One expression of a label selector."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="(self.operator in ['In', 'NotIn']) == (size(self.values) > 0)",
            message="In and NotIn need values; Exists and DoesNotExist take none",
            holds=lambda self: (self.operator in ("In", "NotIn")) == bool(self.values),
        ),
    )
    key: Annotated[LabelKey, Field(description="The label's key.")]
    operator: Annotated[
        Literal["In", "NotIn", "Exists", "DoesNotExist"], Field(description="How the label relates to the values.")
    ]
    values: Annotated[
        tuple[LabelValue, ...], Field(max_length=64, description="Values for In and NotIn; empty for the others.")
    ] = ()


class LabelSelector(Model):
    """A label selector over the labels of workloads (not of their pods)."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-map-type": "atomic"})

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="size(self.matchLabels) > 0 || size(self.matchExpressions) > 0",
            message="an empty selector would cover every workload of the namespace: give at least one of matchLabels "
            "and matchExpressions",
            holds=lambda self: bool(self.match_labels or self.match_expressions),
        ),
    )
    match_labels: Labels = Field(default={}, description="Labels that a workload must all have, with these values.")
    match_expressions: Annotated[
        tuple[SelectorRequirement, ...],
        Field(max_length=32, description="Expressions that a workload's labels must all fulfil."),
    ] = ()


class Workloads(Model):
    """The workloads that the policy covers, in its own namespace."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.selector) != (size(self.names) > 0)",
            message="give either selector (by label) or names (a list), not both and not neither",
            holds=lambda self: (self.selector is not None) != bool(self.names),
        ),
    )
    kinds: Annotated[
        tuple[WorkloadKind, ...],
        Field(min_length=1, max_length=2, json_schema_extra=SET, description="Kinds of workload to cover."),
    ] = (WorkloadKind.DEPLOYMENT, WorkloadKind.STATEFUL_SET)
    selector: Annotated[
        LabelSelector | None, Field(description="Cover the workloads whose own labels match. Excludes names.")
    ] = None
    names: Annotated[
        tuple[DnsName, ...],
        Field(
            max_length=256, json_schema_extra=SET, description="Cover the workloads of these names. Excludes selector."
        ),
    ] = ()
    containers: Annotated[
        tuple[DnsLabel, ...],
        Field(
            max_length=32,
            json_schema_extra=SET,
            description="Containers that get the environment and the volume. Empty means every container of the pod, "
            "init containers excepted; one that runs riskbus doctor gets them if it is named here.",
        ),
    ] = ()
