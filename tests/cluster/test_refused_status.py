"""A status that the API server refuses is shown, not swallowed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cluster.operator_process import Namespace, policy, workload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.handle import Cluster

COUNTS = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/workloads/properties/matched/maximum"


@pytest.fixture
def definitions_that_refuse_the_status(cluster: Cluster) -> Iterator[None]:
    """The policy's definition as another version could have it: no policy may cover any workload."""
    if not cluster.local:
        pytest.skip("changes the definition that every policy stands on: on the local cluster only")
    change(cluster, op="add", value=0)
    yield
    change(cluster, op="remove")


def change(cluster: Cluster, **how: object) -> None:
    """Change how many workloads the definition lets a policy cover."""
    patch = json.dumps([{"path": COUNTS, **how}])
    cluster.kubectl("patch", "crd", "riskauditpolicies.riskbus.io", "--type=json", f"--patch={patch}")


@pytest.mark.usefixtures("operator", "definitions_that_refuse_the_status")
def test_a_status_that_the_api_server_refuses_is_shown_with_its_words(cluster: Cluster, here: Namespace) -> None:
    """After a half-done upgrade of the definitions, a policy without any status would look merely young."""
    here.apply(workload(), policy(cluster))

    told = here.wait_for("equities", "Ready", "StatusRefused")

    assert told["status"] == "False"
    assert "status.workloads.matched" in told["message"]
    assert "upgrade them" in told["message"]
    assert here.condition("equities", "Stalled")["status"] == "True"
    assert here.is_injected("deployment/jules")

    change(cluster, op="replace", value=1)

    here.wait_for("equities", "Injected", "Injected")
