"""`riskbus-operator render`: the operator's plan over files, for review and for a pipeline, without a cluster."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.planning.manifests import deployment, policy, user_sets

Object = dict[str, Any]
COMMAND = str(Path(sys.executable).with_name("riskbus-operator"))


def render(*files: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [COMMAND, "render", *map(str, files)]
    return subprocess.run(command, check=False, capture_output=True, text=True, input=stdin)


def manifest(folder: Path, *objects: Object) -> Path:
    """The objects in a file."""
    file = folder / "manifest.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    return file


def test_it_prints_what_the_operator_would_apply(tmp_path: Path) -> None:
    """In the order in which it would, so that a reviewer sees what a policy means."""
    done = render(manifest(tmp_path, policy(), deployment()))

    assert (done.returncode, done.stderr) == (0, "")
    assert [obj["kind"] for obj in yaml.safe_load_all(done.stdout)] == [
        "PersistentVolumeClaim",
        "Deployment",
        "Role",
        "RoleBinding",
        "PrometheusRule",
    ]


def test_it_says_what_would_be_refused_and_fails(tmp_path: Path) -> None:
    """A pipeline stops before the cluster has to."""
    done = render(manifest(tmp_path, policy(), deployment(replicas=2)))

    assert done.returncode == 1
    assert "intraday: RolloutWouldDeadlock: Deployment/intraday-jules has 2 replicas" in done.stderr


def test_a_template_in_a_file_belongs_to_the_user(tmp_path: Path) -> None:
    """Files tell no field managers: whatever stands in one, somebody wrote."""
    own = user_sets(deployment(), "env", {"name": "RISK_AUDIT_LOG_PATH", "value": "/data/audit.jsonl"})
    del own["metadata"]["managedFields"]

    assert "EnvConflict" in render(manifest(tmp_path, policy(), own)).stderr


def test_it_reads_lists_standard_input_and_passes_over_the_rest() -> None:
    """What `kubectl get --output=yaml` and `kustomize build` print goes straight in."""
    others: list[Object] = [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "jules"}}]
    listed = {"apiVersion": "v1", "kind": "List", "items": [policy(), deployment(), *others]}

    done = render(Path("-"), stdin=yaml.safe_dump(listed))

    assert done.returncode == 0
    assert "Service" not in {obj["kind"] for obj in yaml.safe_load_all(done.stdout)}


def test_a_policy_that_covers_nothing_is_said_and_fails(tmp_path: Path) -> None:
    """A label is misspelt more often than anything else."""
    done = render(manifest(tmp_path, policy()))

    assert done.returncode == 1
    assert "NoWorkloads" in done.stderr


def test_several_files_make_one_plan(tmp_path: Path) -> None:
    """Policies and workloads seldom stand in one file."""
    first, second = tmp_path / "policy.yaml", tmp_path / "workload.yaml"
    first.write_text(yaml.safe_dump(policy()))
    second.write_text(yaml.safe_dump(deployment()))

    assert "kind: Deployment" in render(first, second).stdout


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("kind: [", "is not YAML"),
        ("just words", "is not a Kubernetes object"),
        (yaml.safe_dump(policy(volume={"size": "enormous"})), "spec.volume.size"),
        (yaml.safe_dump(policy() | {"spec": policy()["spec"] | {"pausd": True}}), "spec.pausd"),
        (yaml.safe_dump({"kind": "Deployment", "metadata": {"name": "jules"}}), "Deployment/jules: spec: required"),
        (yaml.safe_dump({"kind": "Deployment", "metadata": "jules"}), "metadata"),
        (yaml.safe_dump({"kind": "RiskAuditPolicy"}), "metadata"),
        (yaml.safe_dump({"kind": "List", "items": ["jules"]}), "is not a Kubernetes object"),
        (yaml.safe_dump({"kind": "List", "items": 3}), "items"),
    ],
    ids=[
        "not-yaml",
        "text",
        "bad-size",
        "misspelt",
        "no-containers",
        "odd-metadata",
        "no-metadata",
        "odd-item",
        "odd-items",
    ],
)
def test_a_bad_file_gets_one_clear_line(tmp_path: Path, text: str, part: str) -> None:
    """What is wrong, and where; never a traceback."""
    file = tmp_path / "bad.yaml"
    file.write_text(text)

    done = render(file)

    assert done.returncode == 1
    assert part in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_file_that_is_not_there_is_named() -> None:
    """With the system's own words for it."""
    done = render(Path("nowhere.yaml"))

    assert done.returncode == 1
    assert "nowhere.yaml" in done.stderr
