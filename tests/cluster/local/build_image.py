"""Build the project's images with buildah, in a store of its own in the cache, and load them into a node."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from typing import TYPE_CHECKING

from tests.cluster.local import base_image, lifecycle
from tests.cluster.local.errors import LocalClusterError
from tests.cluster.local.output import say, step
from tests.cluster.local.paths import REPOSITORY, cache, locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster.local.paths import ClusterDirectory

_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def build_and_load(directory: ClusterDirectory, *, target: str, tag: str) -> bool:
    """Build a target of the Dockerfile and load it into the node; return whether the node had another one before.

    Raises:
        LocalClusterError: buildah could not build it, or no cluster runs there.
    """
    archive, fingerprint = build_image(target=target, tag=tag)
    marker = directory.state / "images" / archive.name
    if marker.exists() and marker.read_text() == fingerprint:
        say(f"        =  {tag} is loaded")
        return False
    lifecycle.load(directory, archive)
    had_another = marker.exists()
    marker.parent.mkdir(exist_ok=True)
    marker.write_text(fingerprint)
    return had_another


def build_image(*, target: str, tag: str) -> tuple[Path, str]:
    """Return the image's docker archive, built again if anything in it changed, and what identifies its content.

    Raises:
        LocalClusterError: buildah could not build it.
    """
    base = base_image.base_image()
    fingerprint = _fingerprint(target, base)
    archive = cache() / "images" / f"{re.sub('[^a-z0-9]+', '-', tag)}.tar"
    mark = archive.with_suffix(".fingerprint")
    with locked(archive.parent):
        if not (archive.exists() and mark.exists() and mark.read_text() == fingerprint):
            with step(f"built {tag}"):
                mark.unlink(missing_ok=True)
                _build(target, tag, base)
                archive.unlink(missing_ok=True)
                _buildah("push", tag, f"docker-archive:{archive}:{tag}")
                mark.write_text(fingerprint)
    return archive, fingerprint


def _build(target: str, tag: str, base: Path) -> None:
    if not _buildah("images", "--quiet", "--filter", f"reference={base_image.NAME}"):
        pulled = _buildah("pull", "--quiet", f"oci-archive:{base}").split()[-1]
        _buildah("tag", pulled, base_image.NAME)
    trusted = f"{os.environ.get('SSL_CERT_FILE', _CERTIFICATES)}:{_CERTIFICATES}:ro"
    options = ["--layers", "--isolation", "chroot", "--network", "host", "--volume", trusted]
    _buildah(
        "bud", *options, "--build-arg", f"BASE={base_image.NAME}", "--target", target, "--tag", tag, str(REPOSITORY)
    )


def _buildah(*arguments: str) -> str:
    """Run buildah on the store in the cache: what a user has in the machine's own store is left alone."""
    store = cache() / "containers"
    command = ["buildah", "--root", str(store), "--runroot", str(store / "run"), *arguments]
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        last = " / ".join((done.stdout + done.stderr).strip().splitlines()[-6:])
        raise LocalClusterError(f"`buildah {arguments[0]}` failed: {last}")
    return done.stdout


def _fingerprint(target: str, base: Path) -> str:
    """Hash what determines the image: the target, the base, and every file of the build context."""
    digest = hashlib.sha256(f"{target}\0{base.name}\0{base.stat().st_size}\0{base.stat().st_mtime_ns}".encode())
    for path in sorted({REPOSITORY / "Dockerfile", *_context()}):
        digest.update(f"{path.relative_to(REPOSITORY)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _context() -> Iterator[Path]:
    """Every file that .dockerignore lets through: it ignores all but what its `!` lines name."""
    for line in (REPOSITORY / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            for path in REPOSITORY.glob(line[1:]):
                yield from [path] if path.is_file() else _files_below(path)


def _files_below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and path.parent.name != "__pycache__")
