"""What is said about a volume, from facts alone."""

import errno
import os
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pytest

from riskbus.mount import Reason, Verdict
from riskbus.mount.judgement import Facts, judge
from riskbus.mount.mountinfo import Mount, find_mount, parse_mountinfo

BELOW_TMP = PurePosixPath("/tmp/audit")  # noqa: S108 -- only named, never touched
GOOD = Facts(
    PurePosixPath("/var/log/intraday-jules"),
    exists=True,
    mount=Mount("/", "/var/log/intraday-jules", "ext4", read_only=False),
    capacity_bytes=50 << 30,
    free_bytes=40 << 30,
    inodes=1_000_000,
    free_inodes=900_000,
    in_container=True,
)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _mounted(**changes: Any) -> dict[str, Any]:
    assert GOOD.mount is not None
    return {"mount": replace(GOOD.mount, **changes)}


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        ({}, Verdict.VALID, Reason.DURABLE_VOLUME),
        (_mounted(filesystem="xfs"), Verdict.VALID, Reason.DURABLE_VOLUME),
        ({"exists": False, "mount": None}, Verdict.INVALID, Reason.MISSING),
        (_mounted(read_only=True), Verdict.INVALID, Reason.READ_ONLY),
        ({"write_error": _error(errno.EROFS)}, Verdict.INVALID, Reason.READ_ONLY),
        ({"write_error": _error(errno.EACCES)}, Verdict.INVALID, Reason.NOT_WRITABLE),
        ({"write_error": _error(errno.EIO)}, Verdict.INVALID, Reason.NOT_WRITABLE),
        (_mounted(filesystem="tmpfs"), Verdict.INVALID, Reason.EPHEMERAL_TMPFS),
        (_mounted(filesystem="overlay", point="/"), Verdict.INVALID, Reason.EPHEMERAL_OVERLAY),
        (_mounted(point="/"), Verdict.INVALID, Reason.EPHEMERAL_OVERLAY),
        (
            _mounted(root="/var/lib/kubelet/pods/1/volumes/kubernetes.io~empty-dir/audit"),
            Verdict.INVALID,
            Reason.EPHEMERAL_EMPTY_DIR,
        ),
        (
            {"directory": BELOW_TMP, "in_container": False, **_mounted(point="/")},
            Verdict.INVALID,
            Reason.EPHEMERAL_TMP,
        ),
        (
            {"directory": BELOW_TMP, **_mounted(point=str(BELOW_TMP))},
            Verdict.VALID,
            Reason.DURABLE_VOLUME,
        ),
        (_mounted(filesystem="nfs4"), Verdict.DEGRADED, Reason.NETWORK_FILESYSTEM),
        (_mounted(filesystem="fuse.s3fs"), Verdict.DEGRADED, Reason.NETWORK_FILESYSTEM),
        ({"free_bytes": 1 << 20}, Verdict.DEGRADED, Reason.LOW_SPACE),
        ({"write_error": _error(errno.ENOSPC)}, Verdict.DEGRADED, Reason.LOW_SPACE),
        ({"free_inodes": 3}, Verdict.DEGRADED, Reason.LOW_INODES),
        ({"inodes": 0, "free_inodes": 0}, Verdict.VALID, Reason.DURABLE_VOLUME),
        ({"mount": None}, Verdict.VALID, Reason.DURABLE_VOLUME),
    ],
)
def test_each_kind_of_volume_has_its_verdict(changes: dict[str, Any], verdict: Verdict, reason: Reason) -> None:
    """Reports, conditions and alerts depend on these names."""
    found = judge(replace(GOOD, **changes))
    assert found[:2] == (verdict, reason)
    assert found[2].startswith("/") or "/" in found[2]
    assert found[2].endswith(".")


def test_what_is_worse_is_said_first() -> None:
    """An emptyDir that is nearly full is above all an emptyDir."""
    facts = replace(GOOD, free_bytes=0, **_mounted(root="/pods/1/volumes/kubernetes.io~empty-dir/audit"))
    assert judge(facts)[1] is Reason.EPHEMERAL_EMPTY_DIR


TABLE = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/a
30 27 8:1 / /var/log rw,relatime shared:2 master:3 - ext4 /dev/sda rw
31 27 8:2 /volumes/kubernetes.io~empty-dir/a\040b /var/log/jules rw,relatime - xfs /dev/sdb rw
32 31 8:3 / /var/log/jules ro,relatime - ext4 /dev/sdc ro
"""


def test_the_mount_of_a_directory_is_the_deepest_and_latest() -> None:
    """A later mount covers an earlier one at the same place."""
    mounts = parse_mountinfo(TABLE)
    assert mounts[3].root == "/volumes/kubernetes.io~empty-dir/a b"
    assert find_mount(mounts, PurePosixPath("/var/log/jules/x")) == Mount("/", "/var/log/jules", "ext4", read_only=True)
    assert find_mount(mounts, PurePosixPath("/var/logs")) == Mount("/", "/", "overlay", read_only=False)
    assert find_mount([], PurePosixPath("/var")) is None
