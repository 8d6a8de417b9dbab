"""A volume that hangs instead of refusing: the writer is given up, and nobody else waits."""

import ctypes
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from riskbus.events import RiskEvent
from riskbus.runtime import AuditLog
from riskbus.status import State
from riskbus.store.stream import list_segments
from riskbus.store.verification import verify_tree
from tests.faults import reading

Event = Callable[..., RiskEvent]
Open = Callable[..., AuditLog]
MakeVolume = Callable[..., Any]


@contextmanager
def frozen(volume: Path) -> Iterator[None]:
    """Let every write to a volume hang in the kernel."""
    subprocess.run(["fsfreeze", "-f", volume], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "-u", volume], check=True)


@contextmanager
def silent(directory: Path) -> Iterator[None]:
    """Put a file system on a directory whose server never answers, so that even listing it hangs in the kernel."""
    libc = ctypes.CDLL(None, use_errno=True)
    server = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = b"fd=%d,rootmode=40000,user_id=0,group_id=0" % server
    try:
        if libc.mount(b"silent", os.fsencode(directory), b"fuse", 0, options):
            raise OSError(ctypes.get_errno(), "mount")
        yield
    finally:
        os.close(server)  # whoever waits gets ENOTCONN
        subprocess.run(["umount", "--lazy", directory], check=True)


def test_a_second_directory_that_hangs_does_not_hold_up_the_start(
    open_log: Open, make_event: Event, tmp_path: Path
) -> None:
    """It may hold earlier incarnations, and is asked; the first directory is well, and takes records meanwhile."""
    second = tmp_path / "second"
    second.mkdir()
    with silent(second):
        log = open_log(tmp_path / "first", second_dir=second)
        assert log.append(make_event(0)).wait_durable(30)
        assert not log.status().on_second_directory
        assert log.close(30) == ()


@pytest.mark.parametrize("writer", ["thread", "process"])
def test_a_second_directory_stands_in_for_a_volume_that_hangs(
    make_volume: MakeVolume, open_log: Open, make_event: Event, tmp_path: Path, writer: str
) -> None:
    """Records are durable while the first volume still hangs, and stand in it, in order, when it is back."""
    volume: Path = make_volume(64).path
    second = tmp_path / "second"
    log = open_log(volume, writer=writer, second_dir=second)
    assert log.append(make_event(0)).wait_durable(30)
    with frozen(volume):
        receipts = [log.append(make_event(number)) for number in range(1, 500)]
        assert receipts[-1].wait_durable(60)
        assert log.status().on_second_directory
        assert list_segments(second)
    while log.status().on_second_directory:
        assert log.append(make_event(500)).wait_durable(30)
    while list_segments(second):
        assert log.flush(1)
    assert log.close(30) == ()
    assert list(dict.fromkeys(reading.numbers(volume))) == list(range(501))
    assert verify_tree(volume, [], lambda _: None).worst is None


@pytest.mark.parametrize("writer", ["thread", "process"])
def test_a_volume_that_hangs_is_told_of_and_loses_nothing(
    make_volume: MakeVolume,
    open_log: Open,
    make_event: Event,
    writer: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Without a second directory: a state, a failure counted, each record once on standard output; then all goes on."""
    volume: Path = make_volume(64).path
    log = open_log(volume, writer=writer)
    assert log.append(make_event(0)).wait_durable(30)
    with frozen(volume):
        receipts = [log.append(make_event(number)) for number in range(1, 50)]
        while log.status().emergency_events < len(receipts):
            assert not receipts[-1].wait_durable(0.1)
        assert log.status().state is State.FAILING
        assert log.status().write_failures > 0
    assert receipts[-1].wait_durable(60)
    assert log.close(30) == ()
    assert capfd.readouterr().out.count("AUDIT_EMERGENCY ") >= len(receipts)
    assert reading.numbers(volume) == list(range(50))
    assert verify_tree(volume, [], lambda _: None).worst is None
