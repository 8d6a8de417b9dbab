"""Conditions: what is true of a policy, why, and since when.

The shape and the rules are those of the Kubernetes API conventions ("Typical status properties").
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from .model import Model


class ConditionType(StrEnum):
    """What a policy's status can say; `Ready` sums the others up."""

    READY = "Ready"
    STORAGE_READY = "StorageReady"
    INJECTED = "Injected"
    MOUNTS_VALIDATED = "MountsValidated"
    RETENTION_PROTECTED = "RetentionProtected"
    ALERTS_INSTALLED = "AlertsInstalled"
    BACKUP_HEALTHY = "BackupHealthy"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


class Condition(Model):
    """One condition, as the policy's status carries it."""

    type: Annotated[
        str, Field(max_length=63, description="What the condition is about, such as Ready or MountsValidated.")
    ]
    status: Annotated[Literal["True", "False", "Unknown"], Field(description="Whether it is so.")]
    reason: Annotated[
        str,
        Field(
            max_length=128,
            pattern="^[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?$",
            description="Why it is so, in one word for programs.",
        ),
    ]
    message: Annotated[
        str, Field(max_length=4096, description="Why it is so and what to do about it, in a sentence for people.")
    ]
    last_transition_time: Annotated[datetime, Field(description="When the condition's status last changed.")]
    observed_generation: Annotated[
        int, Field(ge=0, description="The metadata.generation of the policy that this was found out for.")
    ]


def merged(previous: Iterable[Condition], wanted: Iterable[Condition]) -> tuple[Condition, ...]:
    """The wanted conditions, each with its previous transition time unless its status has changed since.

    A condition that is not wanted any more is left out. The order is that of `wanted`.
    """
    before = {condition.type: condition for condition in previous}
    return tuple(
        new.model_copy(update={"last_transition_time": old.last_transition_time})
        if (old := before.get(new.type)) and old.status == new.status
        else new
        for new in wanted
    )
