"""The first process of a cluster's own pid, mount and network namespaces. Ending it ends everything in them.

Run by `up` as `unshare ... python -m tests.cluster.local.init DIRECTORY INDEX KUBERNETES STORAGE`. It waits for one
line on its standard input, which says that the cable is there: when `up` dies before that, this process ends too.
"""

from __future__ import annotations

import http
import http.client
import json
import os
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.local import cgroups, components
from tests.cluster.local.node import API_PORT, CONTAINERD, KUBELET, LIBCNI_RESULTS, Binaries, Node
from tests.cluster.local.paths import ClusterDirectory

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.local.components import Component

_START_LIMIT_SECONDS = 120.0
_POLL_SECONDS = 0.05

# What the kubelet wants the machine's kernel settings to be. It gets to see files instead of the real ones, so that
# it leaves the machine alone.
_KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


class Init:
    """Starts the components in order, reaps every process that ends, and writes down which components live."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._names: dict[int, str] = {}
        self._state: dict[str, str] = {}

    def run(self) -> None:
        """Start everything, then reap until killed."""
        node = self._node
        self._start(components.control_plane(node))
        self._start(components.container_runtime(node))
        self._wait(lambda: Path(CONTAINERD).exists(), "containerd")
        _ctr("images", "import", str(node.directory.state / "pause.tar"))
        self._wait(lambda: _api_is_ready(node), "the API server")
        self._start(components.controllers(node))
        self._start(components.node_agents(node))
        self._start(components.storage(node))
        while True:
            self._reaped(*os.wait())

    def _start(self, started: list[Component]) -> None:
        for component in started:
            with (self._node.directory.logs / f"{component.name}.log").open("ab") as log:
                process = subprocess.Popen(component.arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self._names[process.pid] = component.name
            self._record(component.name, "running")

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _START_LIMIT_SECONDS
        while not condition():
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                self._reaped(*ended)
            if time.monotonic() > deadline:
                sys.exit(f"{what} is not ready after {_START_LIMIT_SECONDS:.0f} seconds")
            time.sleep(_POLL_SECONDS)

    def _reaped(self, pid: int, status: int) -> None:
        if pid in self._names:
            self._record(self._names.pop(pid), f"ended with {os.waitstatus_to_exitcode(status)}")

    def _record(self, name: str, state: str) -> None:
        self._state[name] = state
        path = self._node.directory.components
        new = path.with_suffix(".new")
        new.write_text(json.dumps(self._state, indent=1))
        new.rename(path)


def main() -> None:
    """Run the cluster that the arguments name."""
    directory, index, kubernetes, storage = sys.argv[1:]
    node = Node(ClusterDirectory(Path(directory)), int(index), Binaries(Path(kubernetes), Path(storage)))
    if not sys.stdin.readline():
        return
    cgroups.make(node.index)
    _prepare_mounts(node)
    _prepare_network(node)
    Init(node).run()


def _prepare_mounts(node: Node) -> None:
    """Hide the machine's folders that containerd, CNI and the kubelet would write to."""
    _run("mount", "--make-rprivate", "/")
    # Containers may then ask to see mounts that come later (mountPropagation).
    _run("mount", "--make-rshared", "/")
    _run("mount", "-t", "tmpfs", "tmpfs", "/run")
    Path(KUBELET).mkdir()
    _run("mount", "--bind", str(node.runtime / "kubelet"), KUBELET)
    _run("mount", "--bind", str(node.runtime / "var-log"), "/var/log")
    for setting, value in _KERNEL_SETTINGS.items():
        substitute = Path("/run/sysctl") / setting
        substitute.parent.mkdir(parents=True, exist_ok=True)
        substitute.write_text(f"{value}\n")
        _run("mount", "--bind", str(substitute), f"/proc/sys/{setting}")
    LIBCNI_RESULTS.mkdir(exist_ok=True)
    _run("mount", "-t", "tmpfs", "tmpfs", str(LIBCNI_RESULTS))


def _prepare_network(node: Node) -> None:
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "address", "add", f"{node.address}/30", "dev", "eth0")
    _run("ip", "link", "set", "eth0", "up")
    # The API server wants a default route; nothing answers there.
    _run("ip", "route", "add", "default", "via", node.gateway)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _api_is_ready(node: Node) -> bool:
    context = ssl.create_default_context(cafile=str(node.pki / "ca.crt"))
    connection = http.client.HTTPSConnection(node.address, API_PORT, context=context, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _ctr(*arguments: str) -> None:
    _run("ctr", "--address", CONTAINERD, "--namespace", "k8s.io", *arguments)


def _run(*arguments: str) -> None:
    subprocess.run(arguments, check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
