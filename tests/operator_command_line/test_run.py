"""`riskbus-operator run` where it cannot: one line that says what to set, and no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("riskbus-operator"))


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in an environment without a cluster of its own."""
    base = {name: value for name, value in os.environ.items() if not name.startswith("KUBE")}
    return subprocess.run(
        [COMMAND, "run", "--listen", "127.0.0.1:0", *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=base | environment,
    )


def test_without_a_cluster_it_says_what_to_set() -> None:
    """The first thing that anybody tries at home."""
    done = run({})

    assert done.returncode == 1
    assert "set KUBECONFIG" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_kubeconfig_that_is_not_one_is_refused(tmp_path: Path) -> None:
    """A wrong file looks like no cluster at all."""
    file = tmp_path / "kubeconfig"
    file.write_text("not: a kubeconfig")

    done = run({"KUBECONFIG": str(file)})

    assert done.returncode == 1
    assert "KUBECONFIG" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("address", ["8081", "localhost:", "localhost:http", "localhost:99999"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """With an example of one."""
    done = run({}, "--listen", address)

    assert done.returncode == 2
    assert "is not HOST:PORT" in done.stderr


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "often"])
def test_a_resync_that_never_or_always_comes_is_refused(seconds: str) -> None:
    """Every zero seconds would be a denial of service."""
    done = run({}, "--resync", seconds)

    assert done.returncode == 2
    assert "--resync" in done.stderr
