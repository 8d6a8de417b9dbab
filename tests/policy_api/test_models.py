"""The models: frozen, with the API's names and defaults, and round trips that lose nothing."""

from typing import Any

import pytest
from pydantic import ValidationError

from riskbus_operator.api.audit import Durability
from riskbus_operator.api.policy import PolicyStatus, RiskAuditPolicy
from riskbus_operator.api.report import RiskAuditReport, Verdict
from riskbus_operator.api.spec import Mode
from riskbus_operator.api.storage import AccessMode
from tests.policy_api.examples import GOOD, VARIANTS, changed

REPORT: dict[str, Any] = {
    "apiVersion": "riskbus.io/v1alpha1",
    "kind": "RiskAuditReport",
    "metadata": {
        "name": "intraday-jules-0",
        "namespace": "trading",
        "labels": {"riskbus.io/policy": "intraday"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "intraday-jules-0", "uid": "4c1f"}],
    },
    "observedAt": "2026-01-15T14:30:25.123456Z",
    "riskbusVersion": "0.1.0",
    "container": "jules",
    "mount": {
        "verdict": "Valid",
        "reason": "DurableVolume",
        "message": "the audit log is on durable storage",
        "path": "/var/log/intraday-jules/risk_audit.jsonl",
        "mountPoint": "/var/log/intraday-jules",
        "filesystem": "ext4",
        "capacityBytes": 53687091200,
        "freeBytes": 53687091200,
        "freeInodes": 3276800,
    },
    "log": {
        "incarnation": "0192f8a1",
        "seq": 41,
        "durableSeq": 40,
        "checkpoint": "riskbus.io/intraday\n41\nAAAA\n",
        "publicKey": "riskbus.io/intraday+00000000+AA==",
    },
    "clock": {"synchronized": True, "estimatedErrorMicroseconds": 12, "maxErrorMicroseconds": 900},
    "failures": {"writeFailures": 0, "emergencyEvents": 0, "lostEvents": 0},
}


def test_a_policy_with_only_what_is_required_gets_the_defaults() -> None:
    """The operator must see what the API server stores."""
    spec = RiskAuditPolicy.parse(GOOD).spec

    assert spec.mode is Mode.ENFORCE
    assert spec.audit.durability is Durability.GROUP
    assert spec.audit.rotation.max_size == "256Mi"
    assert spec.volume.access_modes == (AccessMode.READ_WRITE_ONCE,)
    assert spec.injection.per_pod_directory is None
    assert spec.monitoring.thresholds.volume_free_warning_percent == 15
    assert spec.validation.interval == "60s"


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_a_policy_survives_the_way_to_the_api_and_back(changes: dict[str, object]) -> None:
    """What `render` prints must be what it read."""
    policy = RiskAuditPolicy.parse(changed(changes))

    assert RiskAuditPolicy.parse(policy.to_api(), strict=True) == policy


def test_a_report_has_exactly_the_agreed_shape() -> None:
    """The library writes reports without knowing these models: the shape is the contract between them."""
    report = RiskAuditReport.parse(REPORT, strict=True)
    written = report.to_api()

    assert report.mount.verdict is Verdict.VALID
    assert {name: value for name, value in written.items() if name != "metadata"} == {
        name: value for name, value in REPORT.items() if name != "metadata"
    }


def test_a_report_of_a_log_that_is_not_open_yet_is_taken() -> None:
    """An invalid mount is reported although there is no log, no checkpoint and no key."""
    early = {name: value for name, value in REPORT.items() if name not in ("log", "clock")}

    assert RiskAuditReport.parse(early).log is None


def test_a_model_cannot_be_changed_in_place() -> None:
    """Plans are compared with what they were made from."""
    policy = RiskAuditPolicy.parse(GOOD)

    with pytest.raises(ValidationError, match="frozen"):
        policy.spec.paused = True  # type: ignore[misc]  # the attempt is the test


def test_two_policies_do_not_share_their_default_maps() -> None:
    """A default that is shared would carry one policy's variables into another's pods."""
    one, other = RiskAuditPolicy.parse(GOOD), RiskAuditPolicy.parse(GOOD)
    one.spec.audit.env["REGION"] = "eu"

    assert other.spec.audit.env == {}


def test_an_empty_status_says_nothing() -> None:
    """Counts of zero would be claims; before the first look there is nothing to claim."""
    written = PolicyStatus().to_api()

    assert written == {"conditions": [], "volumes": [], "failures": []}
