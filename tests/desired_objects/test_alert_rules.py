"""The alert rules, as Prometheus itself reads them: when they fire, and when they must not."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from riskbus_operator.api.policy import RiskAuditPolicy
from riskbus_operator.desired.alerts import prometheus_rule
from tests.desired_objects.prometheus import run_promtool
from tests.policy_api.examples import changed

POD = 'namespace="trading", pod="intraday-jules-7d54bcdf4-x2x9p"'
CLAIM = 'namespace="trading", persistentvolumeclaim="intraday-jules-risk-audit"'
IN_POD = ("audit_volume_free_bytes", "audit_volume_capacity_bytes", POD, "pod")
KUBELET = ("kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes", CLAIM, "kubelet")


def rules(*workloads: str, **changes: Any) -> dict[str, Any]:
    """The rule file of a policy for these workloads."""
    policy = RiskAuditPolicy.parse(changed(changes))
    spec: dict[str, Any] = prometheus_rule(policy, workloads or ("intraday-jules",))["spec"]
    return spec


def firing(folder: Path, at: str, alert: str, series: dict[str, str], file: dict[str, Any] | None = None) -> list[Any]:
    """Severities and sources of the alert's instances that fire at a time, found by promtool's own evaluation.

    promtool tells them only in the words of a failed expectation, so it is asked to expect none.
    """
    (folder / "rules.yaml").write_text(yaml.safe_dump(file or rules()))
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": at, "alertname": alert, "exp_alerts": []}],
    }
    (folder / "test.yaml").write_text(
        yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [case]})
    )
    try:
        run_promtool("test", "rules", str(folder / "test.yaml"))
    except pytest.fail.Exception as failure:
        got = str(failure).split("got:")[1]
        return sorted(
            (found[1], source[1] if (source := re.search(r'source="(\w+)"', found[0])) else "")
            for found in re.finditer(r'Labels:\{[^}]*severity="(\w+)"[^}]*\}', got)
        )
    return []


def test_promtool_finds_nothing_to_complain_about(tmp_path: Path) -> None:
    """Prometheus loads a file with a mistake in it not at all, and says so where nobody looks."""
    file = rules("intraday-jules", "desk.7", "x" * 63)
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(file))

    assert "SUCCESS: 5 rules found" in run_promtool("check", "rules", "--lint-fatal", str(tmp_path / "rules.yaml"))


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        ({f"audit_write_failures_total{{{POD}}}": "0 0 1 1 1 1"}, [("critical", "")]),
        ({f"audit_write_failures_total{{{POD}}}": "3 3 3 3 3 3"}, []),
        ({'audit_write_failures_total{namespace="other", pod="intraday-jules-1"}': "0 0 1 1 1 1"}, []),
        ({'audit_write_failures_total{namespace="trading", pod="intraday-julesX"}': "0 0 1 1 1 1"}, []),
    ],
    ids=["fails-now", "failed-long-ago", "another-namespace", "another-workload"],
)
def test_a_failed_write_alerts_at_once(tmp_path: Path, series: dict[str, str], expected: list[Any]) -> None:
    """Every event from now on is on standard output only."""
    assert firing(tmp_path, "5m", "AuditLogWriteFailure", series) == expected


@pytest.mark.parametrize("volume", [IN_POD, KUBELET], ids=["in-pod", "kubelet"])
@pytest.mark.parametrize(
    ("free", "capacity", "expected"),
    [(2, 100, True), (4, 100, False), (0, 0, False), (100, 100, False)],
    ids=["nearly-full", "enough", "no-size-reported", "empty"],
)
def test_a_nearly_full_volume_is_critical(
    tmp_path: Path, volume: tuple[str, str, str, str], free: int, capacity: int, expected: bool
) -> None:
    """Minutes count then; and a volume that reports no size must not wake anybody."""
    left, whole, labels, source = volume
    series = {f"{left}{{{labels}}}": f"{free}x5", f"{whole}{{{labels}}}": f"{capacity}x5"}

    assert firing(tmp_path, "3m", "AuditLogVolumeSpace", series) == ([("critical", source)] if expected else [])


@pytest.mark.parametrize("volume", [IN_POD, KUBELET], ids=["in-pod", "kubelet"])
@pytest.mark.parametrize(
    ("free", "expected"),
    [("1000-1x500", True), ("140x500", False), ("1000-0.01x500", False)],
    ids=["filling", "steady", "filling-but-far"],
)
def test_a_volume_that_fills_up_warns_days_ahead(
    tmp_path: Path, volume: tuple[str, str, str, str], free: str, expected: bool
) -> None:
    """Little space alone is no news, and a fall alone neither: together they are full before the weekend is over."""
    left, whole, labels, source = volume
    series = {f"{left}{{{labels}}}": free, f"{whole}{{{labels}}}": "7000x500" if free != "140x500" else "1000x500"}

    assert firing(tmp_path, "8h", "AuditLogVolumeSpace", series) == ([("warning", source)] if expected else [])


def test_thresholds_are_the_policys(tmp_path: Path) -> None:
    """A volume of terabytes has other ones."""
    thresholds = {"volumeFreeWarningPercent": 50, "volumeFreeCriticalPercent": 30}
    series = {f"audit_volume_free_bytes{{{POD}}}": "25x5", f"audit_volume_capacity_bytes{{{POD}}}": "100x5"}

    assert firing(tmp_path, "3m", "AuditLogVolumeSpace", series) == []
    file = rules(**{"spec.monitoring.thresholds": thresholds})
    assert firing(tmp_path, "3m", "AuditLogVolumeSpace", series, file) == [("critical", "pod")]


def test_a_name_with_a_dot_matches_itself_alone(tmp_path: Path) -> None:
    """In a regular expression the dot would match any letter."""
    file = rules("desk.7")
    fails = "0 0 1 1 1 1"

    own = {'audit_write_failures_total{namespace="trading", pod="desk.7-abc"}': fails}
    other = {'audit_write_failures_total{namespace="trading", pod="desk-7-abc"}': fails}
    assert firing(tmp_path, "5m", "AuditLogWriteFailure", own, file) == [("critical", "")]
    assert firing(tmp_path, "5m", "AuditLogWriteFailure", other, file) == []


def test_pods_of_a_workload_with_a_long_name_are_matched(tmp_path: Path) -> None:
    """Kubernetes cuts such pods' names short."""
    name = "n" * 60
    cut = {f'audit_write_failures_total{{namespace="trading", pod="{name[:58]}x2x9p"}}': "0 0 1 1 1 1"}

    assert firing(tmp_path, "5m", "AuditLogWriteFailure", cut, rules(name)) == [("critical", "")]


def test_runbooks_and_labels_are_the_policys() -> None:
    """Rules whose labels no Prometheus selects are silently not loaded (prometheus-operator #3767)."""
    policy = RiskAuditPolicy.parse(
        changed(
            {
                "spec.monitoring.runbookBaseURL": "https://runbooks.example.com/audit/",
                "spec.monitoring.ruleLabels": {"release": "main", "riskbus.io/policy": "forged"},
            }
        )
    )

    rule = prometheus_rule(policy, ["intraday-jules"])

    assert rule["metadata"]["labels"] == {
        "release": "main",
        "riskbus.io/policy": "intraday",
        "app.kubernetes.io/managed-by": "riskbus-operator",
    }
    assert rule["spec"]["groups"][0]["rules"][0]["annotations"]["runbook_url"] == (
        "https://runbooks.example.com/audit/AuditLogWriteFailure"
    )
