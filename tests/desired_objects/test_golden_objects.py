"""Every object that a policy makes, whole, in files that a reviewer can read.

UPDATE_GOLDEN=1 python -m pytest tests/desired_objects writes them anew; the difference is what is reviewed.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from riskbus_operator.api.policy import RiskAuditPolicy
from riskbus_operator.desired.access import role, role_binding
from riskbus_operator.desired.alerts import prometheus_rule
from riskbus_operator.desired.claim import claim
from riskbus_operator.desired.injection import injection, workload_patch
from tests.policy_api.examples import changed

GOLDEN = Path(__file__).parent / "golden"
POLICY = RiskAuditPolicy.parse(changed({"metadata.uid": "4c1fb1c6-0000-4000-8000-000000000000"}))
SHARED = RiskAuditPolicy.parse(
    changed(
        {
            "spec.volume.accessModes": ["ReadWriteMany"],
            "spec.audit.env": {"RISK_AUDIT_STREAM": "desk-7"},
            "spec.audit.durability": "Sync",
        }
    )
)


def _patch(policy: RiskAuditPolicy, kind: str, *containers: str) -> dict[str, Any]:
    wanted = injection(policy, workload="intraday-jules", containers=containers)
    return workload_patch(kind=kind, namespace="trading", name="intraday-jules", uid="a-uid", wanted=wanted)


OBJECTS = {
    "claim": claim(POLICY, kind="Deployment", workload="intraday-jules", size="50Gi"),
    "role": role(POLICY),
    "role-binding": role_binding(POLICY, ["jules", "default", "jules"]),
    "prometheus-rule": prometheus_rule(POLICY, ["intraday-jules", "desk.7"]),
    "deployment": _patch(POLICY, "Deployment", "jules"),
    "stateful-set-with-many-writers": _patch(SHARED, "StatefulSet", "jules", "sidecar"),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_the_object_is_the_one_in_the_file(name: str) -> None:
    """A change of what we write into people's clusters is never an accident."""
    file = GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml.safe_dump(OBJECTS[name], sort_keys=False, width=120))

    assert OBJECTS[name] == yaml.safe_load(file.read_text())


def test_no_golden_file_is_left_over() -> None:
    """A file that no test reads would look like a promise."""
    assert {file.stem for file in GOLDEN.iterdir()} == set(OBJECTS)
