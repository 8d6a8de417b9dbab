"""What a plan is made of: actions, chains of actions, and what came of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from riskbus_operator.api.policy import RiskAuditPolicy
from riskbus_operator.api.spec import Mode
from riskbus_operator.desired.names import Object

from .checks import CONTESTED, Finding
from .conflicts import Conflict
from .state import WorkloadKey

ACCESS = "report access"
ALERTS = "alert rules"
FINALIZER = "finalizer"


@dataclass(frozen=True, kw_only=True)
class Action:
    """One request that changes something.

    Attributes:
        verb: `apply` is a server-side apply; `delete` is pinned to the uid; `release` takes the finalizer off.
        obj: What to apply, or the live object.
        force: Take fields over from other managers: only for objects that are the operator's own.
    """

    verb: Literal["apply", "delete", "release"]
    obj: Object
    force: bool = False

    def __str__(self) -> str:
        return f"{self.verb} {self.obj['kind']}/{self.obj['metadata']['name']}"


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Actions that only make sense one after the other: the first failure ends the chain.

    Attributes:
        subject: What the chain is about, like `Deployment/jules` or `alert rules`.
        actions: In order.
    """

    subject: str
    actions: tuple[Action, ...]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a chain.

    Attributes:
        written: Requests that succeeded.
        failure: Why the chain ended early; None if it did not.
        retriable: Whether trying again soon may help without anybody doing anything.
    """

    written: int = 0
    failure: Finding | None = None
    retriable: bool = False


@dataclass(frozen=True, kw_only=True)
class WorkloadPlan:
    """What becomes of one workload under one policy.

    Attributes:
        key: The workload.
        finding: Why it is left as it is; None if it is (or will be) injected.
        injected: Whether the template carries exactly what the policy wants.
        skipped: Entries of the user's that were left, with `onConflict: Skip`.
        chains: What to do.
    """

    key: WorkloadKey
    finding: Finding | None = None
    injected: bool = False
    skipped: tuple[Conflict, ...] = ()
    chains: tuple[Chain, ...] = ()

    @property
    def contested(self) -> bool:
        """Whether an older policy has the workload."""
        return self.finding is not None and self.finding.reason == CONTESTED


@dataclass(frozen=True, kw_only=True)
class PolicyPlan:
    """What to do for one policy.

    Attributes:
        name: Its name.
        obj: The live policy.
        policy: Its model; None if it does not fit the API.
        problem: What does not fit.
        hold: Puts the finalizer on; nothing else happens before that.
        chains: What to do; the chains do not depend on each other.
        release: Takes the finalizer off, once every chain has succeeded.
        workloads: What becomes of each workload that it matches.
        taken: Names that the policy's own objects need and others have, by the chain's subject.
    """

    name: str
    obj: Object
    policy: RiskAuditPolicy | None = None
    problem: str = ""
    hold: Action | None = None
    chains: tuple[Chain, ...] = ()
    release: Action | None = None
    workloads: tuple[WorkloadPlan, ...] = ()
    taken: Mapping[str, Finding] = field(default_factory=dict)

    @property
    def governed(self) -> tuple[WorkloadPlan, ...]:
        """Workloads that the policy matches and that no older policy has."""
        return tuple(item for item in self.workloads if not item.contested)

    @property
    def deleting(self) -> bool:
        """Whether the user has deleted the policy."""
        return bool(self.obj["metadata"].get("deletionTimestamp"))

    @property
    def shadow(self) -> bool:
        """Whether the actions are only tried, by a dry run."""
        return not self.deleting and self.policy is not None and self.policy.spec.mode is Mode.SHADOW

    @property
    def paused(self) -> bool:
        """Whether the actions wait for the user; those of a deletion do not."""
        return not self.deleting and self.policy is not None and self.policy.spec.paused

    @property
    def changes(self) -> tuple[Action, ...]:
        """Every action but those on the finalizer."""
        return tuple(action for chain in self.chains for action in chain.actions)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do in a namespace.

    Attributes:
        policies: One plan for each policy.
        orphans: Removal of what policies left behind whose finalizer was taken off by hand.
    """

    policies: tuple[PolicyPlan, ...]
    orphans: tuple[Chain, ...] = ()
