"""Operators come and go: one works at a time, another takes over, and none leaves anything half done."""

from __future__ import annotations

import random
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tests.cluster.operator_process import MADE, Namespace, Object, OperatorProcess, essence, policy, workload
from tests.cluster.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster.handle import Cluster

LEASE = "lease/riskbus-operator"


@pytest.fixture
def pair(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[tuple[OperatorProcess, OperatorProcess]]:
    """Two operators of one installation: the first works, the second waits."""
    both = tuple(OperatorProcess(cluster, namespace, tmp_path / f"{name}.log", name) for name in ("first", "second"))
    first, second = both
    first.start()
    eventually(lambda: first.leads, "the first one works")
    second.start()
    eventually(lambda: "waiting for the Lease" in second.log.read_text(), "the second one waits")
    yield first, second
    for one in both:
        one.end()
        print(one.log.read_text())  # noqa: T201 - pytest shows it with a failure


def holder(here: Namespace) -> str:
    """Who holds the Lease; empty if nobody does."""
    return str(here.get(LEASE)["spec"].get("holderIdentity", ""))


def take_the_mount_out(here: Namespace) -> None:
    """What an operator that works repairs."""
    removal = '[{"op":"remove","path":"/spec/template/spec/containers/0/volumeMounts"}]'
    here.kubectl("patch", "deployment/jules", "--type=json", f"--patch={removal}")


def mounted(here: Namespace) -> bool:
    """Whether the Deployment has a mount."""
    return "volumeMounts" in here.template("deployment/jules")["containers"][0]


def test_when_the_leader_is_killed_the_other_one_takes_over(
    here: Namespace, pair: tuple[OperatorProcess, OperatorProcess]
) -> None:
    """A node dies with the operator on it: what drifts afterwards is repaired all the same."""
    first, second = pair
    here.apply(workload(), policy(here.cluster))
    eventually(lambda: here.is_injected("deployment/jules"), "it is injected")
    assert holder(here) == "first"
    assert not second.leads
    assert second.metric("riskbus_operator_writes_total") == 0

    first.end(signal.SIGKILL)
    take_the_mount_out(here)

    assert holder(here) == "first", "nobody gave it up: it has to run out"
    eventually(lambda: second.leads, "the second one works")
    assert holder(here) == "second"
    eventually(lambda: mounted(here), "the mount is back")


def test_a_leader_that_ends_in_order_gives_the_lease_up(
    here: Namespace, pair: tuple[OperatorProcess, OperatorProcess]
) -> None:
    """An upgrade must not leave the cluster without an operator until the Lease runs out."""
    first, second = pair
    first.end(signal.SIGTERM)

    assert holder(here) != "first"
    eventually(lambda: second.leads, "the second one works")


def test_a_leader_that_lost_the_lease_ends_at_once(
    here: Namespace, pair: tuple[OperatorProcess, OperatorProcess]
) -> None:
    """Two that write at once would undo each other's work; the kubelet starts the loser again, and it waits."""
    first, _ = pair
    here.kubectl("patch", LEASE, "--type=merge", '--patch={"spec":{"holderIdentity":"somebody-else"}}')

    assert first.wait() == 1
    assert "the Lease is lost; another operator takes over" in first.log.read_text()
    assert holder(here) == "somebody-else"


def test_an_operator_that_is_killed_again_and_again_ends_where_one_that_is_not_ends(
    cluster: Cluster, here: Namespace, namespace: str, tmp_path: Path
) -> None:
    """`kill -9` at ten random moments: a pass can be cut off anywhere and begun anew."""
    process = OperatorProcess(cluster, namespace, tmp_path / "operator.log")
    here.apply(workload(), workload("StatefulSet", "ledger"), policy(cluster))
    _kill_again_and_again(process, 10)
    cut_off = _settled(here, process)
    here.kubectl("delete", "deployment,statefulset,persistentvolumeclaim,role,rolebinding,prometheusrule", "--all")
    here.kubectl("delete", "riskauditpolicy", "--all", "--wait=false")
    process.start()
    eventually(lambda: here.list("riskauditpolicies") == [], "the policy is gone")
    process.end()
    here.apply(workload(), workload("StatefulSet", "ledger"), policy(cluster))
    assert _settled(here, process) == cut_off


def test_an_operator_that_is_killed_again_and_again_takes_a_policy_back_all_the_same(
    cluster: Cluster, here: Namespace, namespace: str, tmp_path: Path
) -> None:
    """Half of an injection that is taken out would be a pod that mounts nothing where it writes."""
    process = OperatorProcess(cluster, namespace, tmp_path / "operator.log")
    workloads = ("deployment/jules", "statefulset/ledger")
    here.apply(workload(), workload("StatefulSet", "ledger"))
    before = [here.get(name)["spec"] for name in workloads]
    here.apply(policy(cluster))
    _settled(here, process)

    here.kubectl("delete", "riskauditpolicy/equities", "--wait=false")
    _kill_again_and_again(process, 5)
    process.start()
    eventually(lambda: here.list("riskauditpolicies") == [], "the policy is gone")
    process.end()

    assert [here.get(name)["spec"] for name in workloads] == before
    assert [here.list(kind) for kind in ("roles", "rolebindings", "prometheusrules")] == [[], [], []]
    assert len(here.list("persistentvolumeclaims")) == 2


def _kill_again_and_again(process: OperatorProcess, times: int) -> None:
    """Start it and kill it after a moment, so often: the one thing under test is the moment."""
    chance, pause = random.Random(), threading.Event()  # noqa: S311 - moments, not secrets
    for _ in range(times):
        process.start()
        pause.wait(chance.uniform(0.5, 2.5))
        process.end(signal.SIGKILL)


def _settled(here: Namespace, process: OperatorProcess) -> list[Object]:
    """Let the operator come to rest, end it, and return everything that it works on."""
    process.start()
    eventually(lambda: here.condition("equities", "Injected").get("status") == "True", "everything is injected")
    eventually(lambda: bool(here.list("prometheusrules")), "the rules are there")
    process.end()
    return [essence(obj) for kind in MADE for obj in here.list(kind)]
