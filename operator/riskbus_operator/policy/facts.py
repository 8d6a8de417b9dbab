"""What is known about one policy after its plan was carried out: the ground that conditions and counts stand on."""

from collections.abc import Mapping
from dataclasses import dataclass

from riskbus_operator.api.policy import RiskAuditPolicy
from riskbus_operator.desired.claim import claim_name
from riskbus_operator.desired.names import Object

from .actions import ACCESS, ALERTS, Outcome, PolicyPlan, WorkloadPlan
from .checks import STORAGE_REASONS, Finding
from .pods import Health
from .state import State, WorkloadKey


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything about one policy at one moment.

    Attributes:
        plan: What was planned.
        policy: The policy's model.
        state: The namespace before the plan was carried out.
        outcomes: What came of each chain that was carried out, by its subject.
        health: The pods of the governed workloads.
    """

    plan: PolicyPlan
    policy: RiskAuditPolicy
    state: State
    outcomes: Mapping[str, Outcome]
    health: Health

    @property
    def workloads(self) -> tuple[WorkloadPlan, ...]:
        """Workloads that the policy matches."""
        return self.plan.workloads

    @property
    def findings(self) -> dict[WorkloadKey, Finding]:
        """Workloads that are held back, and why."""
        return {item.key: item.finding for item in self.workloads if item.finding is not None}

    @property
    def storage_findings(self) -> dict[WorkloadKey, Finding]:
        """Those of them that are held back by their storage."""
        return {key: finding for key, finding in self.findings.items() if finding.reason in STORAGE_REASONS}

    @property
    def failed(self) -> dict[str, Outcome]:
        """Chains that failed, by subject."""
        return {subject: outcome for subject, outcome in self.outcomes.items() if outcome.failure is not None}

    @property
    def failed_workloads(self) -> dict[str, Outcome]:
        """Chains of workloads and their claims that failed, or of the finalizer, without which nothing is done."""
        return {subject: outcome for subject, outcome in self.failed.items() if subject not in (ACCESS, ALERTS)}

    @property
    def waiting(self) -> int:
        """Writes that are held up because the policy is paused or only a shadow."""
        return len(self.plan.changes) if self.plan.paused or self.plan.shadow else 0

    @property
    def wrote(self) -> bool:
        """Whether anything was changed just now."""
        return not self.plan.shadow and any(outcome.written for outcome in self.outcomes.values())

    def carries(self, item: WorkloadPlan) -> bool:
        """Whether the workload's template has the injection now."""
        if item.finding is not None:
            return False
        outcome = self.outcomes.get(str(item.key))
        applied = not self.plan.shadow and outcome is not None and outcome.failure is None
        return item.injected or applied

    def rolled_out(self, item: WorkloadPlan) -> bool:
        """Whether the pods run the template that was there before the plan, and the plan did not change it."""
        return item.injected and self.state.workloads[item.key].rolled_out

    def claim(self, item: WorkloadPlan) -> Object | None:
        """The workload's claim as it was gathered."""
        return self.state.claims.get(claim_name(item.key.name))

    def volume(self, item: WorkloadPlan) -> Object | None:
        """The PersistentVolume behind the workload's claim; None while it has none."""
        return self.state.volumes.get(claim_name(item.key.name))
