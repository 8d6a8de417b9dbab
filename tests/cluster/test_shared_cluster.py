"""The cluster that the tests share has what they rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.handle import CommandError
from tests.cluster.local import lifecycle, versions
from tests.cluster.local.errors import LocalClusterError

if TYPE_CHECKING:
    from tests.cluster.handle import Cluster

MONITORING = {"podmonitors", "prometheusrules", "servicemonitors"}


def monitoring_kinds(cluster: Cluster) -> set[str]:
    """The kinds of prometheus-operator that the API server serves."""
    listed = cluster.kubectl("api-resources", "--api-group=monitoring.coreos.com", "--output=name")
    return {line.split(".")[0] for line in listed.splitlines()}


def test_the_api_server_checks_alert_rules(cluster: Cluster, namespace: str) -> None:
    """A wrong PrometheusRule must be refused in a test as it would be in production."""
    assert monitoring_kinds(cluster) >= MONITORING
    rule = """
        apiVersion: monitoring.coreos.com/v1
        kind: PrometheusRule
        metadata: {name: wrong}
        spec: {groups: [{name: one, rules: [{alert: NoExpression}]}]}
    """
    with pytest.raises(CommandError, match=r"spec\.groups\[0\]\.rules\[0\]\.expr: Required value"):
        cluster.kubectl("apply", "--namespace", namespace, "--filename=-", stdin=rule)


@pytest.mark.usefixtures("without_prometheus_operator")
def test_it_can_be_a_cluster_without_prometheus_operator(cluster: Cluster) -> None:
    """Many clusters are; the operator must work there too."""
    assert not MONITORING & monitoring_kinds(cluster)


def test_another_version_is_never_passed_off_as_the_wanted_one(cluster: Cluster) -> None:
    """Otherwise tests of an old version would pass on the new one that happens to run."""
    if cluster.directory is None:
        pytest.skip("about the local cluster")
    server = cluster.kubectl("get", "--raw=/version")
    other = next(v for v in map(versions.kubernetes, ("1.31", "1.36")) if v.release not in server)
    with pytest.raises(LocalClusterError, match=r"runs in .*, not v1"):
        lifecycle.up(cluster.directory, other)
