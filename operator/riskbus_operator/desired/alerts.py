"""The PrometheusRule of a policy, in the shape that kubernetes-mixin gives its volume alerts.

Volume space is watched from two sides: the figure that the library exports from inside the pod, which is there
for every kind of volume, and the kubelet's, which is there even if the process is not.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from riskbus_operator.api.policy import RiskAuditPolicy

from .claim import claim_name
from .names import Object, owned_metadata, suffixed

WRITE_FAILURE = "AuditLogWriteFailure"
VOLUME_SPACE = "AuditLogVolumeSpace"

# A pod's name is cut to 63 characters, and its Deployment's and ReplicaSet's suffixes take up to 17 of them.
_POD_PREFIX = 46


def rule_name(policy: str) -> str:
    """Name of the PrometheusRule of the policy with this name."""
    return suffixed(policy, "-risk-audit")


def prometheus_rule(policy: RiskAuditPolicy, workloads: Iterable[str]) -> Object:
    """The alert rules for the pods and claims of the workloads with these names.

    Args:
        policy: Whose thresholds, labels and runbooks are used.
        workloads: Names of the covered workloads.
    """
    names = sorted(set(workloads))
    metadata = owned_metadata(policy, rule_name(policy.metadata.name))
    metadata["labels"] = dict(policy.spec.monitoring.rule_labels) | metadata["labels"]
    group = f"risk-audit.{policy.metadata.namespace}.{policy.metadata.name}"
    rules = [_write_failure(policy, names)]
    for volume in (_seen_from_pod(policy, names), _seen_from_kubelet(policy, names)):
        rules += [_nearly_full(policy, volume), _filling_up(policy, volume)]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": metadata,
        "spec": {"groups": [{"name": group, "rules": rules}]},
    }


def _alert(  # noqa: PLR0913 - the fields of an alerting rule
    policy: RiskAuditPolicy,
    name: str,
    severity: str,
    *,
    expr: str,
    summary: str,
    description: str,
    wait: str = "0s",
    labels: dict[str, str] | None = None,
) -> Object:
    annotations = {"summary": summary, "description": description}
    if base := policy.spec.monitoring.runbook_base_url:
        annotations["runbook_url"] = f"{base.rstrip('/')}/{name}"
    return {
        "alert": name,
        "expr": expr,
        "for": wait,
        "labels": {"severity": severity, "policy": policy.metadata.name} | (labels or {}),
        "annotations": annotations,
    }


def _write_failure(policy: RiskAuditPolicy, workloads: list[str]) -> Object:
    return _alert(
        policy,
        WRITE_FAILURE,
        "critical",
        expr=f"increase(audit_write_failures_total{{{_pods(policy, workloads)}}}[5m]) > 0",
        summary="A pod cannot write its risk audit log.",
        description="Pod {{ $labels.namespace }}/{{ $labels.pod }} could not write its audit log in the last "
        "5 minutes. Its events are on its standard output as AUDIT_EMERGENCY lines: keep that output, and look at "
        "the volume.",
    )


@dataclass(frozen=True, kw_only=True)
class _Volume:
    """A volume as one exporter sees it: the expressions for its free and whole size in bytes."""

    source: str
    title: str
    free: str
    capacity: str


def _seen_from_pod(policy: RiskAuditPolicy, workloads: list[str]) -> _Volume:
    selector = "{" + _pods(policy, workloads) + "}"
    return _Volume(
        source="pod",
        title="of pod {{ $labels.namespace }}/{{ $labels.pod }}",
        free="audit_volume_free_bytes" + selector,
        capacity="audit_volume_capacity_bytes" + selector,
    )


def _seen_from_kubelet(policy: RiskAuditPolicy, workloads: list[str]) -> _Volume:
    claims = _one_of(re.escape(claim_name(name)) for name in workloads)
    selector = f'{{namespace="{policy.metadata.namespace}", persistentvolumeclaim=~"{claims}"}}'
    return _Volume(
        source="kubelet",
        title="{{ $labels.namespace }}/{{ $labels.persistentvolumeclaim }}",
        free="kubelet_volume_stats_available_bytes" + selector,
        capacity="kubelet_volume_stats_capacity_bytes" + selector,
    )


def _below(volume: _Volume, percent: int) -> str:
    """Less than this share is free; a volume that reports no size, or holds nothing, is not filling up."""
    return f"{volume.free} / {volume.capacity} < {percent / 100:g} and {volume.capacity} - {volume.free} > 0"


def _nearly_full(policy: RiskAuditPolicy, volume: _Volume) -> Object:
    return _alert(
        policy,
        VOLUME_SPACE,
        "critical",
        expr=_below(volume, policy.spec.monitoring.thresholds.volume_free_critical_percent),
        wait="1m",
        labels={"source": volume.source},
        summary="A risk audit volume is nearly full.",
        description=f"The audit volume {volume.title} has {{{{ $value | humanizePercentage }}}} of its space left. "
        "Raise spec.volume.size of the policy now: when it is full, events go to standard output only.",
    )


def _filling_up(policy: RiskAuditPolicy, volume: _Volume) -> Object:
    """Four days' notice, at the rate of the last six hours, outlasts a weekend: kubernetes-mixin's figures."""
    below = _below(volume, policy.spec.monitoring.thresholds.volume_free_warning_percent)
    return _alert(
        policy,
        VOLUME_SPACE,
        "warning",
        expr=f"{below} and predict_linear({volume.free}[6h], 4 * 24 * 3600) < 0",
        wait="1h",
        labels={"source": volume.source},
        summary="A risk audit volume is filling up.",
        description=f"The audit volume {volume.title} has {{{{ $value | humanizePercentage }}}} of its space left "
        "and will be full within four days. Raise spec.volume.size of the policy.",
    )


def _pods(policy: RiskAuditPolicy, workloads: list[str]) -> str:
    names = _one_of(
        re.escape(name) + "-.+" if len(name) <= _POD_PREFIX else re.escape(name[:_POD_PREFIX]) + ".*"
        for name in workloads
    )
    return f'namespace="{policy.metadata.namespace}", pod=~"{names}"'


def _one_of(patterns: Iterable[str]) -> str:
    """One regular expression (RE2, anchored by Prometheus) as it stands within a PromQL string."""
    return "|".join(patterns).replace(r"\-", "-").replace("\\", "\\\\")
