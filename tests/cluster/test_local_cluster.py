"""The local cluster borrows a machine: it starts in any directory, says how it is, and gives everything back."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster.conftest import require_root
from tests.cluster.local import cleanup, lifecycle, processes, versions
from tests.cluster.local.errors import LocalClusterError
from tests.cluster.local.kubectl import kubectl
from tests.cluster.local.paths import REPOSITORY, ClusterDirectory
from tests.cluster.local.requirements import check_requirements
from tests.cluster.machine import alive, processes_of, snapshot
from tests.cluster.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = versions.kubernetes(os.environ.get("K8S") or versions.DEFAULT)

COMMAND = [sys.executable, "-m", "tests.cluster.local"]

WORKLOAD = [
    {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}}
        | {"storageClassName": "fast-ssd"},
    },
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "user"},
        "spec": {
            "containers": [
                {
                    "name": "pause",
                    "image": "localhost/pause:1",
                    "ports": [{"containerPort": 80, "hostPort": 8080}],
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                }
            ],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        },
    },
]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[ClusterDirectory]:
    """A directory for a cluster of the test's own, with a path as long as on a machine of continuous integration."""
    require_root()
    chosen = ClusterDirectory(tmp_path / "a-directory-of-a-checkout" / "with-a-long-path-to-it" / "cluster")
    chosen.root.parent.mkdir(parents=True)
    yield chosen
    cleanup.sweep(chosen)


def start_with_workload(directory: ClusterDirectory) -> processes.Init:
    """Start the cluster, and in it a pod with a volume and a port of the node."""
    lifecycle.up(directory, VERSION)
    eventually(lambda: "default" in kubectl(directory, "get", "serviceaccounts"), "the default service account")
    kubectl(
        directory, "apply", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": WORKLOAD})
    )
    kubectl(directory, "wait", "pod/user", "--for=condition=Ready", "--timeout=60s", timeout=90)
    init = processes.find(directory.root)
    assert init is not None
    return init


def test_its_end_leaves_the_machine_as_it_was(directory: ClusterDirectory) -> None:
    """Who tries riskbus on a machine gets the machine back: files, processes, mounts, network, cgroups, settings."""
    before = snapshot(directory)
    started = processes_of(start_with_workload(directory))
    during = snapshot(directory)
    assert during["loop devices"], "the volume has one"
    assert len(started) > 10
    lifecycle.down(directory)
    assert snapshot(directory) == before
    assert alive(started) == set()


def test_a_killed_cluster_is_swept_away(directory: ClusterDirectory) -> None:
    """Machines lose clusters to the kernel's memory killer; the next start must not stumble over what stayed."""
    before = snapshot(directory)
    init = start_with_workload(directory)
    started = processes_of(init)
    containers = pids_of(init, "/pause")
    assert containers
    for pid in containers:
        assert f":/riskbus-{init.index}/" in Path(f"/proc/{pid}/cgroup").read_text()
    os.kill(init.pid, signal.SIGKILL)
    eventually(lambda: processes.find(directory.root) is None, "the first process is gone")
    assert snapshot(directory)["cgroups"] != before["cgroups"], "nobody else removes them"
    assert lifecycle.status(directory).lines == [f"no cluster runs in {directory.root}"]
    lifecycle.down(directory)
    assert snapshot(directory) == before
    assert alive(started) == set()


def test_an_interrupted_start_leaves_nothing_that_down_does_not_remove(directory: ClusterDirectory) -> None:
    """A user loses patience at any moment."""
    before = snapshot(directory)
    starting = subprocess.Popen([*COMMAND, "up", f"--dir={directory.root}"], cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    with starting:
        eventually(lambda: processes.find(directory.root) is not None, "the first process runs")
        starting.kill()
    lifecycle.down(directory)
    assert snapshot(directory) == before


def test_a_component_that_died_shows_and_up_starts_anew(directory: ClusterDirectory) -> None:
    """A cluster that lost its scheduler looks alive; tests on it would hang instead of fail."""
    lifecycle.up(directory, VERSION)
    assert lifecycle.status(directory).healthy
    init = processes.find(directory.root)
    assert init is not None
    (scheduler,) = pids_of(init, "kube-scheduler")
    os.kill(scheduler, signal.SIGKILL)
    eventually(lambda: not lifecycle.status(directory).healthy, "the death is seen")
    assert "kube-scheduler: ended with -9" in lifecycle.status(directory).lines
    lifecycle.up(directory, VERSION)
    assert lifecycle.status(directory).healthy
    assert processes.find(directory.root) != init


def test_up_keeps_a_healthy_cluster(directory: ClusterDirectory) -> None:
    """A second `make demo` works on what is there."""
    lifecycle.up(directory, VERSION)
    first = processes.find(directory.root)
    lifecycle.up(directory, VERSION)
    assert processes.find(directory.root) == first


@pytest.mark.parametrize("module", ["tests.cluster.local", "examples.demo"])
def test_without_root_it_says_so_in_one_sentence(module: str) -> None:
    """The sentence names both ways out; a traceback names none."""
    require_root()
    done = subprocess.run(
        ["unshare", "--user", sys.executable, "-m", module, "up"],
        check=False,
        cwd=REPOSITORY,
        env={name: value for name, value in os.environ.items() if name != "KUBECONFIG"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "error: the local cluster makes namespaces and mounts: run this as root, or set KUBECONFIG to use another\n"
    )


def test_a_directory_that_cannot_be_made_is_said_without_a_traceback() -> None:
    """Disks are full and folders are read-only on somebody's machine."""
    require_root()
    done = subprocess.run(
        [*COMMAND, "up", "--dir=/proc/nowhere/cluster"], check=False, cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == "error: [Errno 2] No such file or directory: '/proc/nowhere'\n"


def test_a_missing_package_is_named() -> None:
    """The sentence is a command that can be pasted."""
    require_root()
    with pytest.raises(LocalClusterError, match=r"^missing here: run `apt-get install .* one two`$"):
        check_requirements({"/nowhere/b": "two", "/nowhere/a": "one", "sh": "dash"})


def test_an_unknown_version_is_refused_with_those_there_are() -> None:
    """Only versions whose Go modules are locked here can be built."""
    with pytest.raises(LocalClusterError, match=r"Kubernetes 1\.2 is not known here; choose one of 1\.31, 1\.36"):
        versions.kubernetes("1.2")


def pids_of(init: processes.Init, argument: str) -> list[int]:
    """The processes of the cluster that have this argument, or are called so."""
    found = []
    for pid, _ in processes_of(init):
        with contextlib.suppress(FileNotFoundError):  # it was a short one, and has ended
            if argument.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                found.append(pid)
    return found
