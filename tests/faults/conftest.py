"""Volumes and logs on them, and how long a test may take."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings
from tests.conftest import CloseAtEnd
from tests.faults.volumes import TOOLS, Quota, Volume, make_image, mount, mount_quota, sh


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test here, and skip it with the reason where it cannot run."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    reason = "needs root, to mount small file systems" if os.geteuid() else ""
    if missing and not reason:
        reason = f"needs {', '.join(missing)} (packages e2fsprogs, btrfs-progs, util-linux and gcc)"
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


Make = Callable[..., Volume]


def size(name: str, quick: int) -> int:
    """Return how often a long test tries: `quick`, or what the environment variable of this name says."""
    return int(os.environ.get(name, quick))


@pytest.fixture
def say(capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Show the progress of a long test at once."""

    def show(line: str) -> None:
        with capfd.disabled():
            sys.stdout.write(f"\n  {line}")
            sys.stdout.flush()

    return show


@pytest.fixture
def make_volume(tmp_path: Path) -> Iterator[Make]:
    """Make and mount an ext4 of so many MiB."""
    mounted: list[Path] = []

    def make(megabytes: int, directory: Path = tmp_path, options: tuple[str, ...] = ()) -> Volume:
        volume = Volume(tmp_path / f"volume-{len(mounted)}", directory / f"image-{len(mounted)}")
        make_image(volume.image, megabytes, *options)
        mount(volume.image, volume.path)
        mounted.append(volume.path)
        return volume

    yield make
    for path in mounted:
        sh("umount", "-l", path)


@pytest.fixture
def quota(tmp_path: Path) -> Iterator[Quota]:
    """A volume on which a quota can be set."""
    path = tmp_path / "quota"
    try:
        yield mount_quota(tmp_path / "quota-image", path)
    finally:
        sh("umount", "-l", path)


@pytest.fixture
def failing_device(make_volume: Make, tmp_path: Path) -> Iterator[Volume]:
    """A volume whose image is a file with holes on a small memory file system: full, it cannot take new blocks.

    Its loop device tells the truth only where a write begins in a hole: of one that begins on a block that is there and
    goes on into a hole, Linux 6.18 says that all went well. So what is to fail must begin in a new file.
    """
    backing = tmp_path / "backing"
    backing.mkdir()
    sh("mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", backing)
    try:
        volume = make_volume(32, backing)
        volume.hollow_out()
        yield volume
    finally:
        sh("umount", "-l", backing)


@pytest.fixture
def open_log(close_at_end: CloseAtEnd) -> Callable[..., AuditLog]:
    """Open a log in this directory; it is closed at the end."""

    def open_one(directory: Path, **settings: Any) -> AuditLog:
        path = directory / "risk_audit.jsonl"
        given = {"path": path} | settings
        return close_at_end(AuditLog(settings=AuditSettings.from_environment(**given), registry=CollectorRegistry()))

    return open_one


def event(number: int, padding: int = 0) -> RiskEvent:
    """Make an event that can be recognised."""
    data = {"number": number, "padding": "x" * padding}
    return RiskEvent(EventType.LIMIT_BREACH, EventPriority.NORMAL, "test", data)


@pytest.fixture
def make_event() -> Callable[..., RiskEvent]:
    """Make an event that can be recognised by its number."""
    return event
