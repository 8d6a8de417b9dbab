"""The local cluster's storage is real: a claim is a filesystem of its own that can fill up, grow, and outlive pods."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster.local.cleanup import loop_devices
from tests.cluster.volume_user import GROUP, IMAGE, MOUNT_PATH, USER, VolumeUser
from tests.cluster.waiting import eventually

if TYPE_CHECKING:
    from tests.cluster.handle import Cluster

MEBIBYTE = 1 << 20

SIZE = f"import os; s = os.statvfs('{MOUNT_PATH}'); print(s.f_blocks * s.f_frsize)"
WRITTEN = f"import os; print(os.path.getsize('{MOUNT_PATH}/large'))"
FILL = f"""
import errno
try:
    with open('{MOUNT_PATH}/large', 'wb', buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))
except OSError as error:
    print(errno.errorcode[error.errno])
"""


def file_of(user: VolumeUser) -> Path:
    """The file that the user's volume is in."""
    assert user.cluster.directory is not None
    return user.cluster.directory.state / "node" / "volumes" / f"{user.volume()}.ext4"


def may_grow_mounted_ext4() -> bool:
    """Whether this process has CAP_SYS_RESOURCE (capability 24), which the kernel wants for that."""
    effective = re.search(r"^CapEff:\s*(\w+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return effective is not None and bool(int(effective[1], 16) >> 24 & 1)


@pytest.fixture
def user(cluster: Cluster, namespace: str) -> VolumeUser:
    """A pod with a claim of its own, not started yet; its namespace demands restricted pods."""
    if cluster.directory is None:
        pytest.skip("shows what the local cluster's own storage does")
    cluster.build_image("example", IMAGE)
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    return VolumeUser(cluster, namespace, "user")


def test_a_claim_is_an_empty_ext4_of_its_own_and_of_its_size(user: VolumeUser) -> None:
    """What riskbus finds out about a volume must not be about a directory that others share."""
    user.start("64Mi")
    mount = user.run(f"print(*[m for m in open('/proc/self/mounts') if m.split()[1] == '{MOUNT_PATH}'])").split()
    assert mount[0].startswith("/dev/loop")
    assert mount[2] == "ext4"
    # ext4 keeps its tables and the journal for itself.
    assert 0.75 * 64 * MEBIBYTE < int(user.run(SIZE)) <= 64 * MEBIBYTE
    assert user.run(f"import os; print(os.listdir('{MOUNT_PATH}'))") == "[]"


def test_a_full_volume_refuses_writes_with_enospc(user: VolumeUser) -> None:
    """Without this no test can show what the audit log does on a full volume."""
    user.start("16Mi")
    assert user.run(FILL) == "ENOSPC"


def test_data_outlives_the_pod(user: VolumeUser) -> None:
    """Audit evidence is read long after the pod that wrote it."""
    user.start("16Mi")
    user.run(f"open('{MOUNT_PATH}/evidence', 'w').write('kept')")
    user.delete_pod()
    user.start("16Mi")
    assert user.run(f"print(open('{MOUNT_PATH}/evidence').read())") == "kept"


def test_a_user_without_privileges_writes_through_the_pods_fs_group(user: VolumeUser) -> None:
    """Restricted pods are not root, and a new ext4 belongs to root."""
    user.start("16Mi")
    found = user.run(f"import os; s = os.stat('{MOUNT_PATH}'); print(os.getuid(), s.st_uid, s.st_gid, oct(s.st_mode))")
    assert found == f"{USER} 0 {GROUP} 0o42775"
    user.run(f"open('{MOUNT_PATH}/written', 'w').write('by group')")


def test_the_kubelet_measures_the_volume(user: VolumeUser) -> None:
    """Alerts on free space stand on these metrics."""
    user.start("32Mi")
    label = f'{{namespace="{user.namespace}",persistentvolumeclaim="user"}}'
    metrics: dict[str, float] = {}

    def measured() -> bool:
        text = user.cluster.kubectl("get", "--raw=/api/v1/nodes/node-1/proxy/metrics")
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if label in line]
        metrics.update({name.removesuffix(label): float(value) for name, value in lines})
        return "kubelet_volume_stats_capacity_bytes" in metrics

    eventually(measured, "kubelet_volume_stats of the claim")
    assert metrics["kubelet_volume_stats_capacity_bytes"] == int(user.run(SIZE))
    assert metrics["kubelet_volume_stats_available_bytes"] <= metrics["kubelet_volume_stats_capacity_bytes"]
    assert metrics["kubelet_volume_stats_inodes_free"] > 0


def test_a_claim_grows_by_the_start_of_its_next_pod(user: VolumeUser) -> None:
    """A volume that runs full can be made larger, and what is on it stays."""
    user.start("16Mi")
    assert user.run(FILL) == "ENOSPC"
    written = int(user.run(WRITTEN))
    user.resize("64Mi")
    eventually(lambda: user.capacity() == "64Mi", "the volume's file has the new size")
    user.delete_pod()
    eventually(lambda: not loop_devices(file_of(user)), "the kubelet has unmounted the volume")
    user.start("64Mi")
    assert 0.75 * 64 * MEBIBYTE < int(user.run(SIZE)) <= 64 * MEBIBYTE
    assert int(user.run(WRITTEN)) == written


@pytest.mark.skipif(not may_grow_mounted_ext4(), reason="this machine's root has no CAP_SYS_RESOURCE")
def test_a_claim_grows_under_a_running_pod(user: VolumeUser) -> None:
    """What trades need not restart for it."""
    user.start("16Mi")
    user.resize("64Mi")
    eventually(lambda: int(user.run(SIZE)) > 0.75 * 64 * MEBIBYTE, "the filesystem has the new size")


def test_a_deleted_claim_takes_its_volume_and_file_along(user: VolumeUser) -> None:
    """Volumes that stay after their claims would fill the machine."""
    user.start("16Mi")
    file = file_of(user)
    assert file.stat().st_size == 16 * MEBIBYTE
    user.delete_pod()
    user.delete_claim()
    eventually(lambda: not file.exists(), f"{file} is deleted")
    volumes = json.loads(user.cluster.kubectl("get", "persistentvolumes", "--output=json"))["items"]
    assert user.name not in {v["spec"]["claimRef"]["name"] for v in volumes if v["metadata"]["name"] == file.stem}
