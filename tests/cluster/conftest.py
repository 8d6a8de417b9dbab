"""Fixtures of the tests that need a cluster: the cluster itself, and a namespace for each test.

Environment: KUBECONFIG names a cluster of the user's own (DEMO_STORAGE_CLASS a storage class of it); otherwise a local
one of version K8S is built and started in TEST_CLUSTER_DIR, and stays up afterwards if KEEP_CLUSTER is set.
"""

from __future__ import annotations

import os
import uuid
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.handle import Cluster, CommandError
from tests.cluster.local import lifecycle, prometheus_operator, versions
from tests.cluster.local.paths import REPOSITORY, ClusterDirectory
from tests.cluster.operator_process import Namespace, OperatorProcess
from tests.cluster.volume_user import IMAGE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

_LIMIT_SECONDS = 300


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder; its time limit does not count the first build of the cluster, of several minutes."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("cluster")
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(_LIMIT_SECONDS, func_only=True))


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A running cluster with the project's CRDs and prometheus-operator's."""
    if given := os.environ.get("KUBECONFIG"):
        running = Cluster(Path(given), os.environ.get("DEMO_STORAGE_CLASS", "standard"))
        _require_answer(running)
        _install_definitions(running)
        yield running
        return
    require_root()
    version = versions.kubernetes(os.environ.get("K8S") or versions.DEFAULT)
    chosen = os.environ.get("TEST_CLUSTER_DIR") or REPOSITORY / ".cluster" / f"test-{version.minor}"
    directory = ClusterDirectory(Path(chosen).resolve())
    with _shown(request.config):  # what takes minutes the first time
        lifecycle.up(directory, version)
    running = Cluster(directory.kubeconfig, "fast-ssd", directory)
    _install_definitions(running)
    yield running
    if not os.environ.get("KEEP_CLUSTER"):
        lifecycle.down(directory)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own, in which pods can start."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    # The API server refuses pods until a controller has made it.
    cluster.kubectl("wait", "--namespace", name, "--for=create", "serviceaccount/default", "--timeout=60s")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def here(cluster: Cluster, namespace: str) -> Namespace:
    """The test's own namespace."""
    return Namespace(cluster, namespace)


@pytest.fixture(scope="module")
def shared_operator(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """One operator for all tests of a module: it works in all namespaces, as in production."""
    name = f"operator-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    process = OperatorProcess(cluster, name, tmp_path_factory.mktemp("operator") / "log")
    process.start()
    yield process
    process.end()
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def operator(shared_operator: OperatorProcess) -> Iterator[OperatorProcess]:
    """A running operator; what it logged is shown when the test fails."""
    yield shared_operator
    print(shared_operator.log.read_text())  # noqa: T201 - pytest shows it with a failure


@pytest.fixture
def trading(here: Namespace, operator: OperatorProcess) -> Namespace:
    """A namespace that demands restricted pods, with an operator that works and the image of the example."""
    here.cluster.build_image("example", IMAGE)
    here.kubectl("label", "namespace", here.name, "pod-security.kubernetes.io/enforce=restricted")
    assert operator.alive
    return here


@pytest.fixture
def without_prometheus_operator(cluster: Cluster) -> Iterator[None]:
    """The cluster without prometheus-operator's definitions, while the test runs."""
    if not cluster.local:
        pytest.skip("deletes every PrometheusRule, PodMonitor and ServiceMonitor: on the local cluster only")
    folder = str(prometheus_operator.definitions())
    cluster.kubectl("delete", "--filename", folder)
    yield
    install(cluster, folder)


def require_root() -> None:
    """Skip where the local cluster cannot start; continuous integration must not skip."""
    if os.geteuid() != 0:
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say("needs a cluster: run as root to start the local one, or set KUBECONFIG to a cluster that tests may use")


def _require_answer(given: Cluster) -> None:
    try:
        given.kubectl("get", "--raw=/readyz", "--request-timeout=20s")
    except CommandError as error:
        where = f"the cluster of KUBECONFIG={given.kubeconfig} does not answer"
        pytest.fail(f"{where}; mend it, or unset KUBECONFIG to use the local one.\n{error}", pytrace=False)


def _install_definitions(cluster: Cluster) -> None:
    """Install the project's definitions; `up` installs those of prometheus-operator in the local cluster."""
    install(cluster, str(REPOSITORY / "crds"))
    if "monitoring.coreos.com" not in cluster.kubectl("get", "crd", "--output=name"):
        install(cluster, str(prometheus_operator.definitions()))


def install(cluster: Cluster, folder: str) -> None:
    """Apply the definitions in a folder and wait until the API server serves them."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename", folder)
    cluster.kubectl("wait", "--for=condition=Established", "--filename", folder, "--timeout=60s")


def _shown(config: pytest.Config) -> AbstractContextManager[Any]:
    """Let what is printed through to the terminal."""
    capture = config.pluginmanager.getplugin("capturemanager")
    return capture.global_and_fixture_disabled() if capture else nullcontext()
