"""What helm makes of the chart: rights without wildcards, restricted pods, and values that are refused when unknown."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from charts.readme import CHART
from riskbus_operator.api import crds
from riskbus_operator.cli import build_parser
from tests.cluster.local.build import HELM, build

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.cluster  # helm is one of the local cluster's tools, built like them

_EVERYTHING = ["networkPolicy.enabled=true", "podMonitor.enabled=true"]
_DIGEST = "sha256:" + "0" * 64


@pytest.fixture(scope="session")
def helm() -> Path:
    """The helm that is built with the local cluster's programs."""
    return build(HELM) / "helm"


class Chart:
    """The chart, rendered with some values."""

    def __init__(self, helm: Path) -> None:
        self._helm = helm

    def run(self, command: str, *values: str) -> subprocess.CompletedProcess[str]:
        """Run `helm lint` or `helm template`."""
        name = ["riskbus-operator"] if command == "template" else []
        options = [f"--set={value}" for value in values]
        return subprocess.run(
            [self._helm, command, *name, CHART, "--namespace=riskbus-system", "--kube-version=1.31.0", *options],
            check=False,
            capture_output=True,
            text=True,
        )

    def objects(self, *values: str) -> list[dict[str, Any]]:
        """The objects that helm would apply."""
        done = self.run("template", *values)
        assert done.returncode == 0, done.stderr
        return [made for made in yaml.safe_load_all(done.stdout) if made]

    def one(self, kind: str, *values: str) -> dict[str, Any]:
        """The only object of a kind."""
        (found,) = (made for made in self.objects(*values) if made["kind"] == kind)
        return found

    def rules(self) -> list[tuple[str, dict[str, Any]]]:
        """Every rule of every role, with the role's name."""
        roles = [made for made in self.objects() if made["kind"] in ("Role", "ClusterRole")]
        return [(role["metadata"]["name"], rule) for role in roles for rule in role["rules"]]


@pytest.fixture
def chart(helm: Path) -> Chart:
    """The chart under test."""
    return Chart(helm)


@pytest.mark.parametrize("values", [[], _EVERYTHING], ids=["defaults", "everything"])
def test_helm_finds_nothing_wrong(chart: Chart, values: list[str]) -> None:
    """`helm lint --strict` is what users' pipelines run."""
    done = chart.run("lint", *values)

    assert (done.returncode, "[ERROR]" in done.stdout, "[WARNING]" in done.stdout) == (0, False, False), done.stdout


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("replica=2", "additional properties 'replica' not allowed"),
        ("image.tags=x", "additional properties 'tags' not allowed"),
        ("replicas=two", "got string, want integer"),
        ("image.pullPolicy=Sometimes", "must be one of 'Always', 'IfNotPresent', 'Never'"),
        ("image.digest=latest", "does not match pattern"),
        ("logFormat=xml", "must be one of 'text', 'json'"),
        ("reportGuard.actions={Refuse}", "must be one of 'Deny', 'Warn', 'Audit'"),
        ("networkPolicy.apiServerPorts={70000}", "maximum: got 70,000, want 65,535"),
        ("serviceAccount.create=false", "name the service account to use"),
    ],
)
def test_a_value_that_would_do_nothing_is_refused(chart: Chart, value: str, says: str) -> None:
    """A misspelt value that is taken in silence is found out in production."""
    done = chart.run("template", value)

    assert done.returncode != 0
    assert says in done.stderr


def test_no_role_has_a_wildcard_or_reads_secrets(chart: Chart) -> None:
    """The operator of an audit log must not be the way into everything else."""
    for name, rule in chart.rules():
        assert not any("*" in entry for field in rule.values() for entry in field), name
        assert "secrets" not in rule["resources"], name
        assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"]), name


def test_no_role_of_the_operator_can_delete_records(chart: Chart) -> None:
    """Claims, volumes, pods, workloads and policies are not the operator's to delete."""
    deletable = {
        resource
        for name, rule in chart.rules()
        if name == "riskbus-operator" and {"delete", "deletecollection"} & set(rule["verbs"])
        for resource in rule["resources"]
    }

    assert deletable == {"roles", "rolebindings", "prometheusrules"}


def test_nobody_but_a_pod_is_given_the_right_to_write_reports(chart: Chart) -> None:
    """The operator holds the right only because it cannot grant what it has not; the guard keeps it from using it."""
    writers = {
        name
        for name, rule in chart.rules()
        if "riskauditreports" in rule["resources"] and {"create", "update", "patch"} & set(rule["verbs"])
    }

    assert writers == {"riskbus-operator"}


def test_the_pod_keeps_to_the_restricted_standard(chart: Chart) -> None:
    """The namespace may enforce it."""
    pod = chart.one("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_operator_understands_the_arguments_that_the_chart_gives(chart: Chart) -> None:
    """An unknown flag is a pod that never starts."""
    (container,) = chart.one("Deployment", "logFormat=json", "resyncSeconds=30")["spec"]["template"]["spec"][
        "containers"
    ]

    build_parser().parse_args(container["args"])


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ([], "riskbus/riskbus-operator:0.1.0"),
        (["image.repository=localhost/riskbus-operator", "image.tag=dev"], "localhost/riskbus-operator:dev"),
        (["image.tag=dev", f"image.digest={_DIGEST}"], f"riskbus/riskbus-operator@{_DIGEST}"),
    ],
)
def test_the_image_is_the_one_that_was_asked_for(chart: Chart, values: list[str], image: str) -> None:
    """A digest pins the image whatever the tag says."""
    (container,) = chart.one("Deployment", *values)["spec"]["template"]["spec"]["containers"]

    assert container["image"] == image


def test_the_definitions_are_installed_as_they_were_generated(chart: Chart) -> None:
    """Helm's own `crds` folder is never upgraded; templates are."""
    installed = [made for made in chart.objects() if made["kind"] == "CustomResourceDefinition"]

    assert [made["spec"] for made in installed] == [crd["spec"] for crd in crds.definitions()]
    assert all(made["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"} for made in installed)


def test_the_definitions_can_be_left_out_or_let_go(chart: Chart) -> None:
    """Some clusters have their definitions from elsewhere."""
    kinds = [made["kind"] for made in chart.objects("crds.enabled=false")]
    let_go = chart.objects("crds.keep=false")

    assert "CustomResourceDefinition" not in kinds
    assert not any("annotations" in made["metadata"] for made in let_go)


def test_one_replica_has_no_disruption_budget(chart: Chart) -> None:
    """A budget over a single pod means that a node can never be drained, or nothing."""
    assert "PodDisruptionBudget" in {made["kind"] for made in chart.objects()}
    assert "PodDisruptionBudget" not in {made["kind"] for made in chart.objects("replicas=1")}


def test_every_object_says_where_it_comes_from(chart: Chart) -> None:
    """Labels of the recommended set, on everything."""
    for made in chart.objects(*_EVERYTHING):
        labels = made["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "riskbus-operator", made["kind"]
        assert labels["app.kubernetes.io/managed-by"] == "Helm", made["kind"]


def test_the_chart_wants_the_kubernetes_that_it_is_tested_on(chart: Chart) -> None:
    """Older clusters have no ValidatingAdmissionPolicy of this version."""
    done = subprocess.run(
        [*chart.run("template").args[:-2], "--kube-version=1.30.9"], check=False, capture_output=True, text=True
    )

    assert re.search(r"requires kubeVersion: >=1\.31\.0-0", done.stderr)
