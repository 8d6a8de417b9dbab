"""Init containers: covered if the policy names them, like one that runs `riskbus doctor` before the workload starts."""

from typing import Any

from riskbus_operator.policy.actions import WorkloadPlan
from riskbus_operator.policy.plan import plan
from tests.planning.manifests import DIRECTORY, Object, applied, deployment, policy, state

SETTINGS = {"name": "RISK_AUDIT_DURABILITY", "value": "os"}


def checked(**doctor: Any) -> Object:
    """A Deployment whose init container `doctor` has these fields; what differs from the policy is its user's."""
    found = deployment()
    del found["metadata"]["managedFields"]
    found["spec"]["template"]["spec"]["initContainers"] = [{"name": "doctor", "image": "jules:1", **doctor}]
    return found


def outcome(workload: Object, *containers: str, **spec: Any) -> WorkloadPlan:
    """What becomes of the workload under a policy that names these containers."""
    covered = policy(workloads={"names": ["intraday-jules"], "containers": list(containers)}, **spec)
    (found,) = plan(state(covered, workload)).policies[0].workloads
    return found


def patched(found: WorkloadPlan) -> Object:
    """The pod template's spec in the workload's patch."""
    (patch,) = (action.obj for chain in found.chains for action in chain.actions if action.obj["kind"] == "Deployment")
    pod: Object = patch["spec"]["template"]["spec"]
    return pod


def test_an_init_container_that_is_not_named_is_left_alone() -> None:
    """Most of them migrate a database, or wait for something: they write no events."""
    assert "initContainers" not in patched(outcome(checked()))


def test_one_that_is_named_gets_what_the_containers_get() -> None:
    """A checklist is worth something only in the very place that it is about."""
    pod = patched(outcome(checked(), "doctor", "jules"))

    (doctor,), (jules,) = pod["initContainers"], pod["containers"]
    assert (doctor["name"], jules["name"]) == ("doctor", "jules")
    assert doctor["volumeMounts"] == jules["volumeMounts"]
    named = {"name": "RISK_AUDIT_CONTAINER", "value": "doctor"}
    assert named in doctor["env"]
    assert [entry for entry in doctor["env"] if entry != named] == [
        entry for entry in jules["env"] if entry["name"] != "RISK_AUDIT_CONTAINER"
    ]


def test_its_users_own_entries_block_the_workload_as_those_of_a_container_do() -> None:
    """A doctor that looks elsewhere would be worse than none."""
    found = outcome(checked(env=[SETTINGS]), "doctor", "jules").finding

    assert found is not None
    assert found.reason == "EnvConflict"
    assert "container doctor" in found.message


def test_an_entry_that_a_user_took_over_is_theirs_there_too() -> None:
    """`kubectl edit` on an injected variable is a decision of somebody's."""
    live = applied(outcome(checked(), "doctor").chains[0].actions[-1].obj, checked())
    doctor = live["spec"]["template"]["spec"]["initContainers"][0]
    doctor["env"] = [SETTINGS if entry["name"] == SETTINGS["name"] else entry for entry in doctor["env"]]
    steps = ("f:spec", "f:template", "f:spec", "f:initContainers", 'k:{"name":"doctor"}', "f:env")
    fields: Object = {'k:{"name":"RISK_AUDIT_DURABILITY"}': {"f:value": {}}}
    for step in reversed(steps):
        fields = {step: fields}
    live["metadata"]["managedFields"].append({"manager": "kubectl-edit", "operation": "Update", "fieldsV1": fields})

    found = outcome(live, "doctor").finding

    assert found is not None
    assert "kubectl-edit" in found.message


def test_with_skip_the_rest_still_goes_to_the_init_container() -> None:
    """Named among the containers, it would be a second one without an image."""
    mount = {"name": "scratch", "mountPath": DIRECTORY}
    found = outcome(checked(env=[SETTINGS], volumeMounts=[mount]), "doctor", "jules", injection={"onConflict": "Skip"})

    (doctor,), (jules,) = patched(found)["initContainers"], patched(found)["containers"]
    assert jules["name"] == "jules"
    assert DIRECTORY not in {entry["mountPath"] for entry in doctor["volumeMounts"]}
    assert "RISK_AUDIT_DURABILITY" not in {entry["name"] for entry in doctor["env"]}


def test_a_workload_of_which_only_the_init_container_is_covered_is_known_by_it() -> None:
    """Otherwise nobody would take the injection out when that policy goes."""
    found = outcome(checked(), "doctor")
    live = applied(found.chains[0].actions[-1].obj, checked())
    gone = policy()
    gone["metadata"]["deletionTimestamp"] = "2026-01-15T14:00:00Z"

    (item,) = plan(state(gone, live)).policies

    assert [str(action) for action in item.changes] == ["apply Deployment/intraday-jules"]


def test_a_name_that_is_not_there_is_refused_with_the_init_containers_too() -> None:
    """A mistyped name is found by looking at the right ones."""
    found = outcome(checked(), "docter", "jules").finding

    assert found is not None
    assert "has no container docter, but jules, doctor" in found.message
