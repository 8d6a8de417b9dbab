"""Start a cluster, look how it is, load images, end it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from tests.cluster.local import cleanup, config, images, processes, prometheus_operator
from tests.cluster.local.build import HELM, STORAGE, build, kubernetes_module
from tests.cluster.local.errors import LocalClusterError
from tests.cluster.local.kubectl import apply, kubectl
from tests.cluster.local.node import LARGEST_INDEX, NAME, Binaries, Node
from tests.cluster.local.output import say, step
from tests.cluster.local.paths import PACKAGE, REPOSITORY, ClusterDirectory, cache, locked
from tests.cluster.local.requirements import check_requirements

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cluster.local.versions import Kubernetes

_LIMIT_SECONDS = 120.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Status:
    """How a cluster is: `healthy`, and one line for everything that was looked at."""

    healthy: bool
    lines: list[str]


def up(directory: ClusterDirectory, version: Kubernetes, *, namespace: str = "default") -> None:
    """Make sure that a healthy cluster runs: return at once if it does, otherwise start a new one.

    Raises:
        LocalClusterError: something is missing on this machine, a part did not come up, or another version runs there.
    """
    check_requirements()
    with locked(directory.root.parent):
        if status(directory).healthy:
            _check_version(directory, version)
            say(f"running already: {directory.kubeconfig}")
            return
        cleanup.sweep(directory)
        try:
            _start(directory, version, namespace)
        except BaseException:
            cleanup.stop(directory)
            raise
    say(f"kubeconfig: {directory.kubeconfig}")


def down(directory: ClusterDirectory) -> None:
    """End the cluster and remove all that it left, however it died.

    Raises:
        LocalClusterError: the user is not root, or something stays.
    """
    check_requirements()
    with locked(directory.root.parent), step(f"ended the cluster of {directory.root}"):
        cleanup.sweep(directory)


def status(directory: ClusterDirectory) -> Status:
    """Look at the first process, the components, and the API server's own verdict."""
    init = processes.find(directory.root)
    if init is None:
        return Status(healthy=False, lines=[f"no cluster runs in {directory.root}"])
    states: dict[str, str] = json.loads(directory.components.read_text()) if directory.components.exists() else {}
    lines = [f"{name}: {state}" for name, state in states.items()]
    alive = bool(states) and all(state == "running" for state in states.values())
    try:
        kubectl(directory, "get", "--raw=/readyz", "--request-timeout=5s")
        ready = _node_is_ready(directory)
        lines.append(f"API server ready, node {'ready' if ready else 'not ready'}")
    except LocalClusterError as error:
        ready = False
        lines.append(f"API server not ready: {error}")
    return Status(healthy=alive and ready, lines=lines)


def load(directory: ClusterDirectory, archive: Path) -> None:
    """Import an image archive into the node of a running cluster.

    Raises:
        LocalClusterError: no cluster runs there, or containerd does not take the archive.
    """
    init = processes.find(directory.root)
    if init is None:
        raise LocalClusterError(f"no cluster runs in {directory.root}; start it with `up`")
    with step(f"loaded {archive.name}"):
        images.load(init.pid, archive)


def _check_version(directory: ClusterDirectory, wanted: Kubernetes) -> None:
    """Refuse to pass another version off as this one."""
    found = json.loads(kubectl(directory, "get", "--raw=/version"))["gitVersion"]
    if found != f"v{wanted.release}":
        raise LocalClusterError(
            f"Kubernetes {found} runs in {directory.root}, not v{wanted.release}: end it with "
            f"`python -m tests.cluster.local down --dir {directory.root}`, or use another directory"
        )


def _start(directory: ClusterDirectory, version: Kubernetes, namespace: str) -> None:
    binaries = Binaries(build(kubernetes_module(version)), build(STORAGE))
    helm = build(HELM) / "helm"
    monitoring = prometheus_operator.definitions()
    with step("API server ready"):
        node = _start_namespaces(directory, binaries, namespace)
        _wait(directory, lambda: bool(kubectl(directory, "get", "--raw=/readyz")), "the API server")
    with step("node ready"):
        _wait(directory, lambda: _node_is_ready(directory), f"node {node.address}")
    (directory.bin / "helm").symlink_to(helm)
    apply(directory, PACKAGE / "manifests", monitoring)


def _start_namespaces(directory: ClusterDirectory, binaries: Binaries, namespace: str) -> Node:
    with locked(cache()):  # two clusters that start at once would choose the same number
        node = Node(directory, _free_index(), binaries)
        _write_files(node, namespace)
        # It is nobody's child here: whoever starts a cluster need not wait for its end.
        unshare = ["setsid", "--fork", "unshare", "--net", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]
        init = ["-m", "tests.cluster.local.init", str(directory.root), str(node.index)]
        init += [str(binaries.kubernetes), str(binaries.storage)]
        with (directory.logs / "init.log").open("wb") as log:
            process = subprocess.Popen(
                [*unshare, sys.executable, *init],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=REPOSITORY,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            )
        assert process.stdin is not None  # it was asked for
        with process.stdin as stdin:
            process.wait()
            _connect(node, _wait_for_init(directory, stdin).pid)
            stdin.write(b"connected\n")
    return node


def _free_index() -> int:
    taken = {init.index for init in processes.running()} | cleanup.interfaces()
    return next(index for index in range(LARGEST_INDEX + 1) if index not in taken)


def _write_files(node: Node, namespace: str) -> None:
    directory = node.directory
    for folder in (directory.bin, directory.logs):
        folder.mkdir(parents=True, exist_ok=True)
    (directory.bin / "kubectl").symlink_to(node.binaries.kubernetes / "kubernetes")
    config.write_all(node, namespace=namespace)
    images.pause_archive(node.binaries.kubernetes / "pause", directory.state / "pause.tar", config.PAUSE_IMAGE)


def _wait_for_init(directory: ClusterDirectory, stdin: IO[bytes]) -> processes.Init:
    deadline = time.monotonic() + _LIMIT_SECONDS
    while _has_reader(stdin) and time.monotonic() < deadline:
        if init := processes.find(directory.root):
            return init
        time.sleep(_POLL_SECONDS / 10)
    raise LocalClusterError(f"the cluster's namespaces could not be made: {_last_line(directory, 'init')}")


def _has_reader(pipe: IO[bytes]) -> bool:
    poller = select.poll()
    poller.register(pipe, 0)
    return not poller.poll(0)


def _connect(node: Node, init_pid: int) -> None:
    cable = ["type", "veth", "peer", "name", "eth0", "netns", str(init_pid)]
    for command in (
        ["ip", "link", "add", node.interface, *cable],
        ["ip", "address", "add", f"{node.gateway}/30", "dev", node.interface],
        ["ip", "link", "set", node.interface, "up"],
    ):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise LocalClusterError(f"`{' '.join(command)}`: {done.stderr.strip()}")


def _node_is_ready(directory: ClusterDirectory) -> bool:
    path = r"jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    return kubectl(directory, "get", "node", NAME, "--output", path) == "True"


def _wait(directory: ClusterDirectory, condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _LIMIT_SECONDS
    while time.monotonic() < deadline:
        if processes.find(directory.root) is None:
            raise LocalClusterError(f"the cluster ended while it started: {_last_line(directory, 'init')}")
        try:
            if condition():
                return
        except LocalClusterError:
            pass  # not yet
        time.sleep(_POLL_SECONDS)
    raise LocalClusterError(f"{what} is not ready after {_LIMIT_SECONDS:.0f} s; see the logs in {directory.logs}")


def _last_line(directory: ClusterDirectory, name: str) -> str:
    text = (directory.logs / f"{name}.log").read_text(errors="replace").strip()
    return text.splitlines()[-1] if text else "it said nothing"
