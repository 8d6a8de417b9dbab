"""Prometheus itself and its promtool, which hold alert rules to Prometheus' own reading of them."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

_CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "riskbus" / "bin"


def program(name: str) -> Path:
    """`prometheus` or `promtool`: the one on PATH, or Debian's.

    Debian's is unpacked into the cache once and never installed, which would start a service.
    """
    if (found := shutil.which(name)) is not None:
        return Path(found)
    if not (_CACHE / name).exists():
        _unpack(name)
    return _CACHE / name


def _unpack(name: str) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say(f"needs {name}: install Prometheus, or run on Debian, where it is fetched")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["apt-get", "download", "prometheus"], cwd=folder, check=True, capture_output=True)
        (package,) = Path(folder).glob("prometheus_*.deb")
        subprocess.run(["dpkg-deb", "-x", str(package), folder], check=True, capture_output=True)
        _CACHE.mkdir(parents=True, exist_ok=True)
        # Renamed into place, so that tests that run at the same time never see half of it.
        whole = _CACHE / f"{name}.{os.getpid()}"
        shutil.copy2(Path(folder, "usr/bin", name), whole)
        whole.rename(_CACHE / name)


def run_promtool(*arguments: str) -> str:
    """What promtool says; its output is the test's failure if it is not content."""
    done = subprocess.run([str(program("promtool")), *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.fail(done.stdout + done.stderr)
    return done.stdout
