"""A user's own entries in the template: never reset, and told apart from the operator's."""

from typing import Any

import pytest

from riskbus_operator.policy.actions import WorkloadPlan
from riskbus_operator.policy.plan import plan
from tests.planning.manifests import DIRECTORY, Object, applied, deployment, key, policy, state, user_sets

PATH = {"name": "RISK_AUDIT_LOG_PATH", "value": "/data/audit.jsonl"}
MOUNT = {"name": "scratch", "mountPath": DIRECTORY}
SKIP = {"injection": {"onConflict": "Skip"}}
MANY = {"size": "50Gi", "storageClassName": "fast-ssd", "accessModes": ["ReadWriteMany"]}


def outcome(workload: Object, **spec: Any) -> WorkloadPlan:
    """What becomes of the workload under a policy with this spec."""
    (item,) = plan(state(policy(**spec), workload)).policies
    (found,) = item.workloads
    return found


def patched_container(found: WorkloadPlan) -> Object:
    """The first container of the workload's patch; empty if it has none."""
    (patch,) = (action.obj for chain in found.chains for action in chain.actions if action.obj["kind"] == "Deployment")
    containers = patch.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [{}])
    return dict(containers[0])


def volumes(found: WorkloadPlan) -> list[str]:
    """Names of the volumes in the workload's patch."""
    (patch,) = (action.obj for chain in found.chains for action in chain.actions if action.obj["kind"] == "Deployment")
    return [volume["name"] for volume in patch["spec"]["template"]["spec"]["volumes"]]


def test_a_variable_of_the_users_blocks_the_workload_and_names_its_owner() -> None:
    """Who set it is who can take it out."""
    found = outcome(user_sets(deployment(), "env", PATH, manager="helm")).finding

    assert found is not None
    assert found.reason == "EnvConflict"
    for part in ("container jules", "RISK_AUDIT_LOG_PATH", "'/data/audit.jsonl'", "helm"):
        assert part in found.message


def test_a_mount_of_the_users_blocks_the_workload_and_names_its_volume() -> None:
    """An emptyDir where the audit log goes is the very mistake that this is about."""
    own = user_sets(deployment(), "volumeMounts", MOUNT)
    found = outcome(user_sets(own, "volumes", {"name": "scratch", "emptyDir": {}})).finding

    assert found is not None
    assert found.reason == "MountConflict"
    assert f"emptyDir scratch at {DIRECTORY}" in found.message


def test_a_mount_is_the_same_with_a_slash_at_its_end() -> None:
    """The kernel thinks so too."""
    own = user_sets(deployment(), "volumeMounts", MOUNT | {"mountPath": f"{DIRECTORY}/"})

    assert outcome(own).finding is not None


@pytest.mark.parametrize("spec", [{}, SKIP], ids=["fail", "skip"])
@pytest.mark.parametrize("name", ["risk-audit", "risk-audit-staging"])
def test_a_volume_of_our_name_blocks_even_with_skip(name: str, spec: Object) -> None:
    """The mount would be of their volume, and look like ours."""
    own = user_sets(deployment(), "volumes", {"name": name, "emptyDir": {}})

    found = outcome(own, **spec).finding

    assert found is not None
    assert found.reason == "VolumeConflict"
    assert f"a volume of its own named {name} " in found.message


def test_skip_leaves_the_users_variable_and_injects_the_rest() -> None:
    """So a team can keep one setting of its own."""
    container = patched_container(outcome(user_sets(deployment(), "env", PATH), **SKIP))

    names = [entry["name"] for entry in container["env"]]
    assert "RISK_AUDIT_LOG_PATH" not in names
    assert "RISK_AUDIT_POLICY" in names
    assert container["volumeMounts"][0]["mountPath"] == DIRECTORY


def test_skip_leaves_the_users_mount_and_then_needs_no_volume() -> None:
    """A volume that nothing mounts would hold a claim for nothing."""
    found = outcome(user_sets(deployment(), "volumeMounts", MOUNT), **SKIP)

    assert [mount["mountPath"] for mount in patched_container(found)["volumeMounts"]] == ["/run/riskbus"]
    assert volumes(found) == ["risk-audit-staging"]


@pytest.mark.parametrize(
    ("section", "entry", "reason"),
    [
        ("env", {"name": "RISK_AUDIT_STAGING_DIR", "value": "/memory"}, "EnvConflict"),
        ("volumeMounts", {"name": "scratch", "mountPath": "/run/riskbus"}, "MountConflict"),
    ],
)
def test_staging_memory_of_the_users_own_is_left_whole(section: str, entry: Object, reason: str) -> None:
    """Half of it would be worse than none: a directory that is not memory, or memory that nobody uses."""
    own = user_sets(deployment(), section, entry)

    found = outcome(own).finding
    assert found is not None
    assert found.reason == reason
    skipped = outcome(own, **SKIP)
    container = patched_container(skipped)
    assert "RISK_AUDIT_STAGING_DIR" not in [item["name"] for item in container["env"]]
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == [DIRECTORY]
    assert volumes(skipped) == ["risk-audit"]


def test_an_entry_that_says_the_same_is_no_conflict() -> None:
    """Co-owned, it stays when the policy goes."""
    same = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}

    assert outcome(user_sets(deployment(), "env", same)).finding is None


def test_a_downward_reference_is_the_same_before_the_api_server_completes_it() -> None:
    """Files that `render` reads have no `apiVersion: v1` in it."""
    short = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}

    assert outcome(user_sets(deployment(), "env", short)).finding is None


def test_another_pod_name_blocks_where_directories_go_by_it() -> None:
    """$(POD_NAME) would lead every pod into one directory."""
    fixed = user_sets(deployment(), "env", {"name": "POD_NAME", "value": "jules"})

    assert outcome(fixed, **SKIP).finding is None
    found = outcome(fixed, volume=MANY, **SKIP).finding
    assert found is not None
    assert found.reason == "EnvConflict"


def test_what_audit_env_offers_yields_to_the_users_own() -> None:
    """It is documented as an offer: the workload's own value wins without a word."""
    audit = {"logPath": f"{DIRECTORY}/risk_audit.jsonl", "env": {"RISK_AUDIT_STREAM": "desk-7"}}
    own = user_sets(deployment(), "env", {"name": "RISK_AUDIT_STREAM", "value": "desk-8"})

    found = outcome(own, audit=audit)

    assert found.finding is None
    assert "RISK_AUDIT_STREAM" not in [entry["name"] for entry in patched_container(found)["env"]]


@pytest.mark.parametrize("new_path", ["/var/log/other/risk_audit.jsonl"])
def test_the_operators_own_entries_change_with_the_policy(new_path: str) -> None:
    """What the operator alone has set is its to set anew."""
    live = [
        applied(action.obj, deployment())
        for action in plan(state(policy(), deployment())).policies[0].changes
        if action.obj["kind"] == "Deployment"
    ]
    found = outcome(live[0], audit={"logPath": new_path})

    assert found.finding is None
    assert {"name": "RISK_AUDIT_LOG_PATH", "value": new_path} in patched_container(found)["env"]


def test_an_entry_that_a_user_took_over_is_theirs() -> None:
    """`kubectl edit` on an injected variable is a decision of somebody's."""
    (action,) = (
        action
        for action in plan(state(policy(), deployment())).policies[0].changes
        if action.obj["kind"] == "Deployment"
    )
    live = applied(action.obj, deployment())
    env = live["spec"]["template"]["spec"]["containers"][0]["env"]
    env[:] = [entry for entry in env if entry["name"] != "RISK_AUDIT_LOG_PATH"]
    edited = user_sets(live, "env", PATH, manager="kubectl-edit")

    found = outcome(edited).finding

    assert found is not None
    assert "kubectl-edit" in found.message


def test_only_the_chosen_containers_are_looked_at_and_changed() -> None:
    """A sidecar with a variable of that name is none of the policy's business."""
    two = deployment()
    two["spec"]["template"]["spec"]["containers"].append({"name": "sidecar", "image": "sidecar:1", "env": [PATH]})

    found = outcome(two, workloads={"names": ["intraday-jules"], "containers": ["jules"]})

    assert found.key == key()
    assert found.finding is None
    assert patched_container(found)["name"] == "jules"
