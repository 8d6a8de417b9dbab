"""The custom resource definitions of prometheus-operator that the cluster has, without the operator itself."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.cluster.local.build import find_go
from tests.cluster.local.errors import LocalClusterError
from tests.cluster.local.output import step
from tests.cluster.local.paths import PACKAGE, cache, locked

_MODULE = PACKAGE / "go" / "prometheus-operator"
_NAME = "github.com/prometheus-operator/prometheus-operator"
_KINDS = ("podmonitors", "prometheusrules", "servicemonitors")


def definitions() -> Path:
    """Return the folder of the definitions as YAML, taken from their locked Go module unless they are in the cache.

    Raises:
        LocalClusterError: there is no Go, or it could not download the module.
    """
    lock = hashlib.sha256(repr(_KINDS).encode() + (_MODULE / "go.sum").read_bytes()).hexdigest()[:16]
    folder = cache() / "definitions" / f"prometheus-operator-{lock}"
    with locked(folder.parent):
        if not folder.exists():
            with step("downloaded prometheus-operator's definitions"):
                _copy(_download() / "example" / "prometheus-operator-crd", folder)
    return folder


def _download() -> Path:
    """Download the module; Go checks it against the go.sum."""
    done = subprocess.run(
        [find_go(), "mod", "download", "-json", _NAME],
        check=False,
        cwd=_MODULE,
        env={**os.environ, "GOFLAGS": "-mod=readonly"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise LocalClusterError(f"go could not download {_NAME}: {(done.stderr or done.stdout).strip()[-500:]}")
    return Path(json.loads(done.stdout)["Dir"])


def _copy(source: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        whole = Path(scratch) / "whole"
        whole.mkdir()
        for kind in _KINDS:
            name = f"monitoring.coreos.com_{kind}.yaml"
            shutil.copyfile(source / name, whole / name)
        whole.rename(folder)
