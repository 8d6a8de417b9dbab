"""Images for the node: wrap one root file system as an OCI archive, and import archives into containerd."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from typing import TYPE_CHECKING

from tests.cluster.local.errors import LocalClusterError
from tests.cluster.local.node import CONTAINERD

if TYPE_CHECKING:
    from pathlib import Path

_MEDIA_TYPE = "application/vnd.oci.image"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def wrap(name: str, layer: Path, archive: Path, *, entrypoint: list[str] | None = None) -> None:
    """Write an OCI archive (image specification 1.0) of one uncompressed layer."""
    with layer.open("rb") as file:
        digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    config = _encoded(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": [_PATH], **({"Entrypoint": entrypoint} if entrypoint else {})},
            "rootfs": {"type": "layers", "diff_ids": [digest]},
            "history": [{"created_by": name}],  # buildah counts its entries against the layers
        }
    )
    manifest = _encoded(
        {
            "schemaVersion": 2,
            "mediaType": f"{_MEDIA_TYPE}.manifest.v1+json",
            "config": _descriptor("config.v1+json", config),
            "layers": [
                {"mediaType": f"{_MEDIA_TYPE}.layer.v1.tar", "digest": digest, "size": layer.stat().st_size},
            ],
        }
    )
    named = _descriptor("manifest.v1+json", manifest) | {"annotations": {"io.containerd.image.name": name}}
    members = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": _encoded({"schemaVersion": 2, "manifests": [named]}),
        _blob(config): config,
        _blob(manifest): manifest,
    }
    with tarfile.open(archive, "w") as tar:
        for member, data in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        tar.add(layer, arcname=f"blobs/{digest.replace(':', '/')}")


def pause_archive(program: Path, archive: Path, name: str) -> None:
    """Write the image that holds a pod's namespaces open."""
    layer = archive.with_suffix(".layer")
    with tarfile.open(layer, "w") as tar:
        tar.add(program, arcname="pause")
    wrap(name, layer, archive, entrypoint=["/pause"])
    layer.unlink()


def load(init_pid: int, archive: Path) -> None:
    """Import an OCI or docker archive into the node of the cluster with this first process.

    Raises:
        LocalClusterError: containerd does not take it.
    """
    enter = ["nsenter", "--target", str(init_pid), "--mount", "--net", "--pid"]
    ctr = ["ctr", "--address", CONTAINERD, "--namespace", "k8s.io", "images", "import", str(archive.resolve())]
    done = subprocess.run([*enter, *ctr], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise LocalClusterError(f"containerd did not take {archive}: {done.stderr.strip()}")


def _encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def _descriptor(kind: str, data: bytes) -> dict[str, object]:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return {"mediaType": f"{_MEDIA_TYPE}.{kind}", "digest": digest, "size": len(data)}


def _blob(data: bytes) -> str:
    return f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"
