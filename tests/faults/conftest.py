"""Real small file systems that a test may fill, freeze and break."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings

_TOOLS = ("mkfs.ext4", "filefrag", "mount", "umount", "fallocate", "fsfreeze")
_BLOCK = 4096


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test here, and skip it with the reason where it cannot run."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    reason = "needs root, to mount small file systems" if os.geteuid() else ""
    reason = reason or (f"needs {', '.join(missing)} (packages e2fsprogs and util-linux)" if missing else "")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


def sh(*command: object) -> None:
    """Run a command; it must succeed."""
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{command}: {ended.stderr}"


@dataclass(frozen=True)
class Volume:
    """A mounted ext4 in a file.

    Attributes:
        path: where it is mounted.
        image: the file that holds it.
    """

    path: Path
    image: Path

    def remount(self) -> None:
        """Unmount and mount again, so that only what is on the device is left."""
        sh("umount", self.path)
        sh("mount", "-o", "loop", self.image, self.path)

    def fill(self) -> Path:
        """Leave no byte free; returns the file to remove."""
        return fill(self.path)

    def fill_backing(self) -> Path:
        """Leave no byte free where the image is, so that the device fails; returns the file to remove."""
        return fill(self.image.parent)

    def hollow_out(self, megabytes: int) -> None:
        """Take away what backs the free space, while journal and metadata keep theirs."""
        hog = self.path / "hog"
        hog.write_bytes(bytes(megabytes << 20))
        os.sync()
        listing = subprocess.run(["filefrag", "-e", hog], capture_output=True, text=True, check=True).stdout
        hog.unlink()
        sh("umount", self.path)
        for first, last in re.findall(r":\s+(\d+)\.\.\s*(\d+):\s+\d+:", listing):
            start, end = int(first) * _BLOCK, (int(last) + 1) * _BLOCK
            sh("fallocate", "--punch-hole", "--offset", start, "--length", end - start, self.image)
        sh("mount", "-o", "loop,errors=remount-ro", self.image, self.path)

    def break_down(self) -> None:
        """Let the kernel find an error and refuse every further write, as it does on a broken device."""
        device = self.path.stat().st_dev
        name = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
        Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("broken by a test")


def fill(directory: Path) -> Path:
    """Write until nothing more fits; returns the file to remove."""
    ballast = directory / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for block in (1 << 20, 4096):
            try:
                while file.write(bytes(block)) == block:
                    pass
            except OSError:
                pass
    return ballast


Make = Callable[..., Volume]


@pytest.fixture
def make_volume(tmp_path: Path) -> Iterator[Make]:
    """Make and mount an ext4 of so many MiB."""
    mounted: list[Path] = []

    def make(megabytes: int, directory: Path = tmp_path, options: tuple[str, ...] = ()) -> Volume:
        image, path = directory / "image", tmp_path / f"volume-{len(mounted)}"
        with image.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, megabytes << 20)
        sh("mkfs.ext4", "-q", "-F", "-b", _BLOCK, "-m", 0, "-E", "nodiscard", *options, image)
        path.mkdir()
        sh("mount", "-o", "loop,errors=remount-ro", image, path)
        mounted.append(path)
        return Volume(path, image)

    yield make
    for path in mounted:
        sh("umount", "-l", path)


@pytest.fixture
def open_log() -> Iterator[Callable[..., AuditLog]]:
    """Open a log in this directory; it is closed at the end."""
    opened: list[AuditLog] = []

    def open_one(directory: Path, **settings: Any) -> AuditLog:
        path = directory / "risk_audit.jsonl"
        given = {"path": path} | settings
        log = AuditLog(settings=AuditSettings.from_environment(**given), registry=CollectorRegistry())
        opened.append(log)
        return log

    yield open_one
    for log in opened:
        log.close(timeout=5)


def event(number: int, padding: int = 0) -> RiskEvent:
    """Make an event that can be recognised."""
    data = {"number": number, "padding": "x" * padding}
    return RiskEvent(EventType.LIMIT_BREACH, EventPriority.NORMAL, "test", data)


@pytest.fixture
def make_event() -> Callable[..., RiskEvent]:
    """Make an event that can be recognised by its number."""
    return event
