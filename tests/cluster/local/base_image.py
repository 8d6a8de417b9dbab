"""The base image that stands for the official slim Python image where no image registry can be reached."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tests.cluster.local import images
from tests.cluster.local.errors import LocalClusterError
from tests.cluster.local.output import step
from tests.cluster.local.paths import cache, locked

SUITE = "trixie"  # Debian 13 has Python 3.13
NAME = f"localhost/riskbus-base:{SUITE}"
_PACKAGES = "python3,python3-venv,ca-certificates"


def base_image() -> Path:
    """Return the OCI archive of the base image, which mmdebstrap makes unless it is in the cache.

    Raises:
        LocalClusterError: mmdebstrap could not make it.
    """
    folder = cache() / "images"
    archive = folder / f"base-{SUITE}.tar"
    with locked(folder):
        if not archive.exists():
            with step(f"made the base image {NAME}"), tempfile.TemporaryDirectory(dir=folder) as scratch:
                layer = Path(scratch) / "layer.tar"
                _debootstrap(layer)
                images.wrap(NAME, layer, Path(scratch) / "image.tar")
                (Path(scratch) / "image.tar").rename(archive)
    return archive


def _debootstrap(layer: Path) -> None:
    command = ["mmdebstrap", "--quiet", "--variant=apt", f"--include={_PACKAGES}", SUITE, str(layer)]
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise LocalClusterError(f"mmdebstrap could not make the base image: {done.stderr.strip()[-500:]}")
