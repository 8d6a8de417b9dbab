"""What a report says, and who it says it is."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from riskbus.report.identity import PodIdentity, PodIdentityError, read_identity
from riskbus.report.manifest import report_manifest
from riskbus.settings import AuditSettings
from riskbus.status import LogStatus
from riskbus_operator.api.report import RiskAuditReport

POD = PodIdentity("trading", "jules-0", "7f8c9c1e-0000-4000-8000-000000000001", "intraday-jules", "secret")
NOON = datetime(2026, 1, 15, 12, 0, 0, 123456, tzinfo=UTC)


def test_the_report_has_exactly_the_fields_of_its_kind(status: LogStatus, settings: AuditSettings) -> None:
    """The operator, dashboards and auditors read these names; the API server prunes any other."""
    assert report_manifest(POD, status, settings, observed_at=NOON, version="0.1.0") == {
        "apiVersion": "riskbus.io/v1alpha1",
        "kind": "RiskAuditReport",
        "metadata": {
            "name": "jules-0",
            "namespace": "trading",
            "labels": {"riskbus.io/policy": "intraday"},
            "ownerReferences": [
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": "jules-0",
                    "uid": "7f8c9c1e-0000-4000-8000-000000000001",
                }
            ],
        },
        "observedAt": "2026-01-15T12:00:00.123456Z",
        "riskbusVersion": "0.1.0",
        "container": "jules",
        "mount": {
            "verdict": "Valid",
            "reason": "DurableVolume",
            "message": "Nothing to do.",
            "path": "/var/log/intraday-jules/risk_audit.jsonl",
            "mountPoint": "/var/log/intraday-jules",
            "filesystem": "ext4",
            "capacityBytes": 1000,
            "freeBytes": 900,
            "freeInodes": 80,
        },
        "log": {
            "incarnation": "01a20d237e217ee4aeff612053c9bb14",
            "seq": 41,
            "durableSeq": 40,
            "checkpoint": "origin\n41\nroot\n\n- origin signature\n",
            "publicKey": "origin+00000000+AQ==",
        },
        "clock": {"synchronized": True, "estimatedErrorMicroseconds": 12, "maxErrorMicroseconds": 3400},
        "failures": {"writeFailures": 1, "emergencyEvents": 2, "lostEvents": 3},
    }


def test_the_report_agrees_with_the_operators_model(status: LogStatus, settings: AuditSettings) -> None:
    """Two packages write one contract; neither may drift from the other."""
    assert status.mount is not None
    long_words = replace(status, mount=replace(status.mount, message="a" * 5000))
    for each in (status, replace(status, mount=None), long_words, replace(status, seq=-1, durable_seq=-1)):
        manifest = report_manifest(POD, each, settings, observed_at=NOON, version="0.1.0")
        read = RiskAuditReport.parse(manifest, strict=True).to_api()
        assert read | {"metadata": manifest["metadata"]} == manifest


def test_a_file_system_without_a_limit_of_inodes_reports_none(status: LogStatus, settings: AuditSettings) -> None:
    """Btrfs makes inodes as it needs them; the API server would refuse a negative number."""
    assert status.mount is not None
    unlimited = replace(status, mount=replace(status.mount, free_inodes=-1))
    manifest = report_manifest(POD, unlimited, settings, observed_at=NOON, version="0.1.0")
    assert "freeInodes" not in manifest["mount"]
    RiskAuditReport.parse(manifest, strict=True)


def test_a_volume_that_has_not_answered_is_not_called_valid(status: LogStatus, settings: AuditSettings) -> None:
    """A hung volume gives no verdict of its own, and is the worst of all."""
    waiting = replace(status, mount=None)
    mount = report_manifest(POD, waiting, settings, observed_at=NOON, version="0.1.0")["mount"]
    assert (mount["verdict"], mount["reason"]) == ("Invalid", "NotWritable")
    assert "has not answered" in mount["message"]


def test_without_a_policy_there_is_no_label(status: LogStatus) -> None:
    """An empty label would select pods of no policy."""
    manifest = report_manifest(POD, status, AuditSettings(), observed_at=NOON, version="0.1.0")
    assert manifest["metadata"]["labels"] == {}


def test_the_pod_is_read_from_the_bound_token(service_account: Path) -> None:
    """No downward API is needed, and the claim is what the cluster will compare with."""
    pod = read_identity(service_account / "token")
    assert (pod.namespace, pod.name, pod.uid, pod.service_account) == (
        "trading",
        "jules-0",
        "7f8c9c1e-0000-4000-8000-000000000001",
        "intraday-jules",
    )


def test_the_token_does_not_show(service_account: Path) -> None:
    """Objects end up in logs and tracebacks; a token there is a leak."""
    pod = read_identity(service_account / "token")
    assert pod.token not in repr(pod)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not a JSON Web Token"),
        ("a.b", "not a JSON Web Token"),
        ("a.!!!!.c", "not a JSON Web Token"),
        ("a.bm90IGpzb24.c", "not a JSON Web Token"),
        ("a.W10.c", "not bound to a pod"),
        ("a.e30.c", "not bound to a pod"),
        ("tök\u00e9n", "cannot read the service account token"),
    ],
)
def test_a_token_that_names_no_pod_is_refused_with_what_to_do(tmp_path: Path, content: str, message: str) -> None:
    """Long-lived token Secrets name no pod, and a report without a pod would be nobody's."""
    (tmp_path / "token").write_text(content)
    with pytest.raises(PodIdentityError, match=message):
        read_identity(tmp_path / "token")


def test_a_token_of_a_service_account_without_a_pod_is_refused(
    tmp_path: Path, token: Callable[[dict[str, Any]], str]
) -> None:
    """The same, with the claims such a token really has."""
    (tmp_path / "token").write_text(token({"kubernetes.io": {"namespace": "trading", "serviceaccount": {"name": "x"}}}))
    with pytest.raises(PodIdentityError, match="mount the projected token"):
        read_identity(tmp_path / "token")


def test_a_missing_token_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """The pod may have been told not to mount one."""
    with pytest.raises(PodIdentityError, match="automountServiceAccountToken"):
        read_identity(tmp_path / "token")
