"""What must hold of the objects, whatever the policy."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskbus.settings import AuditSettings
from riskbus_operator.api.audit import RESERVED_ENV
from riskbus_operator.api.policy import RiskAuditPolicy
from riskbus_operator.api.quantity import size_in_bytes
from riskbus_operator.api.storage import LIBRARY_RETENTION_DAYS, LIBRARY_ROTATION_KEEP
from riskbus_operator.desired.access import role, role_binding
from riskbus_operator.desired.alerts import prometheus_rule
from riskbus_operator.desired.claim import claim, claim_name
from riskbus_operator.desired.environment import environment
from riskbus_operator.desired.injection import Injection, injection, per_pod_directory, workload_patch
from riskbus_operator.desired.names import suffixed
from tests.policy_api.examples import GOOD, VARIANTS, changed

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,120}[a-z0-9])?", fullmatch=True)
POLICY = RiskAuditPolicy.parse(GOOD | {"metadata": GOOD["metadata"] | {"uid": "a-uid"}})
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@given(NAMES, NAMES)
def test_names_fit_and_tell_workloads_apart(first: str, second: str) -> None:
    """Two workloads on one claim would be two logs in one directory."""
    assert len(claim_name(first)) <= 63
    assert (claim_name(first) == claim_name(second)) == (first == second)


def test_a_name_is_shortened_only_where_it_must_be() -> None:
    """People look for the name that they gave; a cut never ends in a dot or dash before the digest."""
    assert suffixed("intraday-jules", "-risk-audit") == "intraday-jules-risk-audit"
    short = suffixed("a" * 42 + "." + "b" * 40, "-risk-audit")
    assert SUBDOMAIN.fullmatch(short)
    assert len(short) <= 63


def test_a_claim_has_no_owner_and_the_rest_has() -> None:
    """An owner reference on a claim is how evidence gets deleted by a cascade."""
    assert "ownerReferences" not in claim(POLICY, kind="Deployment", workload="jules", size="1Gi")["metadata"]
    for obj in (role(POLICY), role_binding(POLICY, ["default"]), prometheus_rule(POLICY, ["jules"])):
        (owner,) = obj["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("RiskAuditPolicy", "a-uid")


def test_a_pod_may_write_its_report_and_nothing_else() -> None:
    """The least that a trading process must be trusted with."""
    assert role(POLICY)["rules"] == [
        {"apiGroups": ["riskbus.io"], "resources": ["riskauditreports"], "verbs": ["create", "get", "patch"]}
    ]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_library_understands_the_environment_that_the_operator_sets(variant: str) -> None:
    """The one contract between the two programs that nothing else checks before a pod starts."""
    policy = RiskAuditPolicy.parse(changed(VARIANTS[variant]))

    plain = {entry["name"]: entry["value"] for entry in environment(policy, "jules") if "value" in entry}
    settings = AuditSettings.from_environment(plain)

    assert str(settings.path) == policy.spec.audit.log_path
    assert settings.durability == policy.spec.audit.durability.lower()
    assert (settings.policy, settings.container) == (policy.metadata.name, "jules")
    assert settings.rotation_compress is policy.spec.audit.rotation.compress
    assert settings.rotation_max_size == size_in_bytes(policy.spec.audit.rotation.max_size)
    assert settings.retention_days == (policy.spec.retention.days or LIBRARY_RETENTION_DAYS)
    assert settings.rotation_keep == LIBRARY_ROTATION_KEEP
    assert settings.writer == {"InProcess": "thread", "ChildProcess": "process"}[policy.spec.injection.writer]
    assert str(settings.staging_dir) == "/run/riskbus"


def test_what_the_operator_sets_is_what_the_api_reserves() -> None:
    """Otherwise audit.env could set a variable twice."""
    assert {entry["name"] for entry in environment(POLICY, "jules")} <= set(RESERVED_ENV)


def test_the_pods_name_stands_before_what_refers_to_it() -> None:
    """Kubernetes expands $(POD_NAME) only if it is declared earlier."""
    assert environment(POLICY, "jules")[0]["name"] == "POD_NAME"


@pytest.mark.parametrize(
    ("modes", "chosen", "expected"),
    [
        (["ReadWriteOnce"], None, False),
        (["ReadWriteOncePod"], None, False),
        (["ReadWriteMany"], None, True),
        (["ReadWriteOnce", "ReadWriteMany"], None, True),
        (["ReadWriteOnce"], True, True),
    ],
)
def test_pods_that_write_at_once_get_directories_of_their_own(
    modes: list[str], chosen: bool | None, expected: bool
) -> None:
    """And pods that follow one another go on in the same one."""
    values = {"spec.volume.accessModes": modes} | ({} if chosen is None else {"spec.injection.perPodDirectory": chosen})
    policy = RiskAuditPolicy.parse(changed(values))

    mount, _ = injection(policy, workload="jules", containers=("jules",)).containers["jules"].mounts
    assert per_pod_directory(policy) is expected
    assert mount.get("subPathExpr") == ("$(POD_NAME)" if expected else None)


def test_records_wait_in_memory_of_the_pod_that_outlives_the_container() -> None:
    """A container's own disk would be slow, and gone with the container; memory without a bound would be the node's."""
    wanted = injection(POLICY, workload="jules", containers=("jules", "sidecar"))

    (staging,) = [volume for volume in wanted.volumes if "emptyDir" in volume]
    assert staging["emptyDir"] == {"medium": "Memory", "sizeLimit": "128Mi"}
    for part in wanted.containers.values():
        told = {entry["name"]: entry.get("value") for entry in part.env}
        assert {"name": staging["name"], "mountPath": told["RISK_AUDIT_STAGING_DIR"]} in part.mounts


def test_an_empty_injection_names_nothing_but_the_workload() -> None:
    """Applied, it takes out exactly what was applied before."""
    patch = workload_patch(kind="Deployment", namespace="trading", name="jules", uid="a-uid", wanted=Injection())

    assert set(patch) == {"apiVersion", "kind", "metadata"}


def test_no_label_or_annotation_goes_on_the_users_workload() -> None:
    """It would still be there after the policy."""
    wanted = injection(POLICY, workload="jules", containers=("jules",))
    patch = workload_patch(kind="Deployment", namespace="trading", name="jules", uid="a-uid", wanted=wanted)

    assert not re.search("labels|annotations", json.dumps(patch))
