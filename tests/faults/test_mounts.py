"""Mount validation on real mounts."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from riskbus.mount import MountReport, Reason, Verdict, validate_mount
from riskbus.runtime import AuditLog

# Python 3.12 and later warn of every fork beside threads, which is what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

MakeVolume = Callable[..., Any]
Mount = Callable[..., None]


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mount something; it is unmounted at the end."""
    points: list[Path] = []

    def run(*arguments: object, point: Path) -> None:
        subprocess.run(["mount", *map(str, arguments), str(point)], check=True)
        points.append(point)

    yield run
    for point in reversed(points):
        if point.is_mount():
            subprocess.run(["umount", "-l", point], check=True)


def _validate(directory: Path) -> MountReport:
    return validate_mount(directory / "risk_audit.jsonl")


def test_a_volume_of_its_own_is_durable(
    make_volume: MakeVolume, open_log: Callable[..., AuditLog], caplog: pytest.LogCaptureFixture
) -> None:
    """And the line that deployment checks look for is logged."""
    volume = make_volume(64)
    report = _validate(volume.path)
    assert (report.verdict, report.reason) == (Verdict.VALID, Reason.DURABLE_VOLUME)
    assert report.filesystem == "ext4"
    assert report.mount_point == str(volume.path)
    assert 0 < report.free_bytes < report.capacity_bytes < 64 << 20
    with caplog.at_level("INFO", "riskbus.audit"):
        log = open_log(volume.path)
        assert log.wait_ready(5)
        log.close()
    (line,) = (record for record in caplog.records if "Audit log file initialized" in record.getMessage())
    assert line.levelname == "INFO"
    for words in (str(volume.path / "risk_audit.jsonl"), "ext4", log.status().incarnation):
        assert words in line.getMessage()
    assert not any("AUDIT LOG RISK" in record.getMessage() for record in caplog.records)


def test_an_empty_dir_is_recognised_by_its_root(make_volume: MakeVolume, mount: Mount, tmp_path: Path) -> None:
    """The kubelet's directory for it is what the container's mount table shows."""
    volume = make_volume(16)
    source = volume.path / "pods" / "1" / "volumes" / "kubernetes.io~empty-dir" / "audit"
    source.mkdir(parents=True)
    point = tmp_path / "var-log-audit"
    point.mkdir()
    mount("--bind", source, point=point)
    report = _validate(point)
    assert (report.verdict, report.reason) == (Verdict.INVALID, Reason.EPHEMERAL_EMPTY_DIR)
    assert "emptyDir" in report.message


def test_a_read_only_mount_is_found_even_by_root(make_volume: MakeVolume, mount: Mount, tmp_path: Path) -> None:
    """`readOnly: true` on the volume mount."""
    volume = make_volume(16)
    point = tmp_path / "point"
    point.mkdir()
    mount("--bind", "-o", "ro", volume.path, point=point)
    assert _validate(point).reason is Reason.READ_ONLY


def test_a_full_volume_is_degraded(make_volume: MakeVolume) -> None:
    """Durable, but not for long."""
    volume = make_volume(16)
    volume.fill()
    report = _validate(volume.path)
    assert (report.verdict, report.reason) == (Verdict.DEGRADED, Reason.LOW_SPACE)


def test_a_volume_out_of_inodes_is_degraded(make_volume: MakeVolume) -> None:
    """Space alone is not enough for the next segment."""
    volume = make_volume(64, options=("-N", "1024"))
    for number in range(1000):
        (volume.path / str(number)).touch()
    report = _validate(volume.path)
    assert (report.verdict, report.reason) == (Verdict.DEGRADED, Reason.LOW_INODES)


def test_a_volume_of_another_user_is_not_writable(make_volume: MakeVolume, mount: Mount) -> None:
    """The usual mistake: no fsGroup in the pod's security context."""
    volume = make_volume(16)
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        mount("--bind", volume.path, point=Path(name))
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.setresgid(65532, 65532, 65532)
                os.setresuid(65532, 65532, 65532)
                status = 0 if _validate(Path(name)).reason is Reason.NOT_WRITABLE else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        subprocess.run(["umount", name], check=True)


def test_a_directory_behind_a_closed_door_is_invalid(tmp_path: Path) -> None:
    """No permission on the way there is no reason for a traceback."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            (tmp_path / "audit").mkdir()
            tmp_path.chmod(0o700)
            os.setresuid(65532, 65532, 65532)
            status = 0 if _validate(tmp_path / "audit").verdict is Verdict.INVALID else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
