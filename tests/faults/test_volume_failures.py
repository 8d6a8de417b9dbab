"""Full, failing, frozen and read-only volumes: real ones."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskbus.events import RiskEvent
from riskbus.format.findings import Severity
from riskbus.runtime import AuditLog
from riskbus.status import State
from riskbus.store.stream import list_segments
from riskbus.store.verification import verify_tree
from tests.faults import reading
from tests.faults.volumes import Quota, sh

MakeVolume = Callable[..., Any]
Open = Callable[..., AuditLog]
Event = Callable[..., RiskEvent]


def test_a_full_volume_loses_nothing(make_volume: MakeVolume, open_log: Open, make_event: Event) -> None:
    """Emergency stream while it is full; everything in order as soon as there is space."""
    volume = make_volume(16)
    directory = volume.path / "audit"
    log = open_log(directory)
    assert log.append(make_event(0)).wait_durable(5)
    ballast = volume.fill()
    receipts = [log.append(make_event(number, padding=4000)) for number in range(1, 400)]
    assert not receipts[-1].wait_durable(1)
    status = log.status()
    assert status.state is State.FAILING
    assert status.write_failures > 0
    assert status.emergency_events > 0
    ballast.unlink()
    assert receipts[-1].wait_durable(30)
    assert log.close() == ()
    assert reading.numbers(directory) == list(range(400))
    assert verify_tree(directory, [], lambda _: None).worst is None


def test_a_used_up_quota_loses_nothing(
    quota: Quota, open_log: Open, make_event: Event, caplog: pytest.LogCaptureFixture
) -> None:
    """EDQUOT, while statvfs still tells of space: as with a full volume, until the quota is raised."""
    directory = quota.path / "audit"
    log = open_log(directory)
    assert log.append(make_event(0)).wait_durable(5)
    quota.allow("2M")
    receipts = [log.append(make_event(number, padding=4000)) for number in range(1, 1000)]
    assert not receipts[-1].wait_durable(1)
    assert log.status().state is State.FAILING
    assert log.status().emergency_events > 0
    assert re.search(r"refused a write \(Disk quota exceeded\); .*; enlarge the volume, raise the quota", caplog.text)
    quota.allow("none")
    assert receipts[-1].wait_durable(30)
    assert log.close() == ()
    assert reading.numbers(directory) == list(range(1000))
    assert verify_tree(directory, [], lambda _: None).worst is None


def test_out_of_inodes_loses_nothing(make_volume: MakeVolume, open_log: Open, make_event: Event) -> None:
    """A new segment cannot be made; the log waits and goes on."""
    volume = make_volume(16, options=("-N", "32"))
    directory = volume.path / "audit"
    log = open_log(directory, rotation_max_size=64 << 10)
    assert log.wait_ready(5)
    hoard = volume.path / "hoard"
    hoard.mkdir()
    try:
        for number in range(100):
            (hoard / str(number)).touch()
    except OSError:
        pass
    receipts = [log.append(make_event(number, padding=1000)) for number in range(200)]
    log.flush(5)
    receipts += [log.append(make_event(number, padding=1000)) for number in range(200, 400)]
    assert not receipts[-1].wait_durable(1)
    assert log.status().state is State.FAILING
    shutil.rmtree(hoard)
    assert receipts[-1].wait_durable(30)
    assert log.close() == ()
    assert reading.numbers(directory) == list(range(400))


def test_a_frozen_volume_does_not_block_publishing(make_volume: MakeVolume, open_log: Open, make_event: Event) -> None:
    """The writer's thread hangs in the kernel; the trading thread never notices."""
    volume = make_volume(16)
    log = open_log(volume.path)
    assert log.append(make_event(0)).wait_durable(5)
    subprocess.run(["fsfreeze", "-f", volume.path], check=True)
    try:
        receipts = [log.append(make_event(number)) for number in range(1, 1000)]
        assert not receipts[-1].wait_durable(0.3)
        assert log.status().seq > 999
    finally:
        subprocess.run(["fsfreeze", "-u", volume.path], check=True)
    assert receipts[-1].wait_durable(20)
    assert log.close() == ()
    assert reading.numbers(volume.path) == list(range(1000))


def test_a_volume_that_becomes_read_only_loses_nothing_that_was_accepted(
    make_volume: MakeVolume, open_log: Open, make_event: Event
) -> None:
    """What cannot be written any more is returned at the end, and the rest is there."""
    volume = make_volume(16)
    directory = volume.path / "audit"
    log = open_log(directory)
    assert log.append(make_event(0)).wait_durable(5)
    volume.break_down()
    receipts = [log.append(make_event(number)) for number in range(1, 10)]
    assert not receipts[-1].wait_durable(0.5)
    left = [json.loads(record) for record in log.close(timeout=0.5)]
    assert [record["data"]["number"] for record in left if not record["event_type"].startswith("AUDIT_")] == [
        *range(1, 10)
    ]
    assert reading.numbers(directory)[:1] == [0]


@pytest.mark.parametrize("durability", ["os", "group", "sync"])
def test_a_limit_on_file_size_begins_new_segments(tmp_path: Path, durability: str) -> None:
    """EFBIG after a short write: the rest goes on in the next file, and nothing is torn that matters."""
    program = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings
settings = AuditSettings.from_environment(path={str(tmp_path / "risk_audit.jsonl")!r}, durability={durability!r})
log = AuditLog(settings=settings)
for number in range(2000):
    receipt = log.append(RiskEvent(EventType.THROTTLE, EventPriority.LOW, "test", {{"number": number}}))
    if number % 50 == 0:
        assert receipt.wait_durable(30)
assert log.close(30) == ()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, stdout=subprocess.DEVNULL)
    assert len(list_segments(tmp_path)) > 2
    assert reading.numbers(tmp_path) == list(range(2000))
    assert verify_tree(tmp_path, [], lambda _: None).worst is None


def test_events_beyond_what_memory_holds_are_declared_lost(
    make_volume: MakeVolume, open_log: Open, make_event: Event
) -> None:
    """A volume that hangs for long: refused at the door, on standard output, and owned up to afterwards."""
    volume = make_volume(256)
    log = open_log(volume.path, staging_overflow=16 << 20)
    assert log.append(make_event(0)).wait_durable(5)
    subprocess.run(["fsfreeze", "-f", volume.path], check=True)
    try:
        receipts = [log.append(make_event(number, padding=600)) for number in range(1, 80_000)]
    finally:
        subprocess.run(["fsfreeze", "-u", volume.path], check=True)
    taken = [number for number, receipt in enumerate(receipts, 1) if receipt.seq >= 0]
    refused = len(receipts) - len(taken)
    assert refused > 0
    assert log.status().lost_events == refused
    assert receipts[taken[-1] - 1].wait_durable(60)
    assert log.close(30) == ()
    assert reading.numbers(volume.path) == [0, *taken]
    report = verify_tree(volume.path, [], lambda _: None)
    assert report.worst is Severity.DECLARED_GAP
    assert report.streams[0].incarnations[0].gap_events == refused


def test_full_shared_memory_refuses_nothing(
    make_volume: MakeVolume, open_log: Open, make_event: Event, tmp_path: Path
) -> None:
    """What has no room beside the ring waits in private memory, and SIGBUS ends nobody."""
    memory = tmp_path / "memory"
    memory.mkdir()
    sh("mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", memory)
    try:
        volume = make_volume(64)
        directory = volume.path / "audit"
        log = open_log(directory, staging_dir=memory, staging_size=1 << 20)
        assert log.append(make_event(0)).wait_durable(5)
        with volume.frozen():
            receipts = [log.append(make_event(number)) for number in range(1, 12_000)]
            sizes = {path.suffix: path.stat().st_size for path in memory.iterdir()}
            assert sizes[".area0"] == 4 << 20
            assert sizes[".area1"] == 0  # there was no room for it
        assert receipts[-1].wait_durable(30)
        assert log.status().lost_events == 0
        assert log.close() == ()
        assert reading.numbers(directory) == list(range(12_000))
    finally:
        sh("umount", "-l", memory)
