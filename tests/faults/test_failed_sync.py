"""A device that fails in the middle: fsync says so once, and then lies."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from riskbus.events import RiskEvent
from riskbus.runtime import AuditLog
from riskbus.store.verification import verify_tree
from tests.faults import reading

if TYPE_CHECKING:
    from tests.faults.volumes import Volume

_LINE = b"x" * 8000 + b"\n"
_ATTEMPTS = 1000


def write_and_retry(path: Path, lines: int) -> int:
    """Write as many loggers do: ask fsync again until it says that all is well. Returns how often it refused."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, _LINE * lines)
        for refused in range(_ATTEMPTS):
            try:
                os.fsync(descriptor)
            except OSError:
                continue
            return refused
    finally:
        os.close(descriptor)
    raise AssertionError("fsync never succeeded")


def test_a_failed_sync_is_never_tried_again_on_the_same_file(
    failing_device: "Volume", open_log: Callable[..., AuditLog], make_event: Callable[..., RiskEvent]
) -> None:
    """What a receipt called durable is on the device after a remount; what a retried fsync called durable is not.

    The second writer shows that the fault is real: it is told that all is well, and its lines are gone.
    """
    directory, naive = failing_device.path / "audit", failing_device.path / "naive"
    before = open_log(directory)
    assert all(before.append(make_event(number)).wait_durable(5) for number in range(10))
    assert before.close() == ()
    ballast = failing_device.fill_backing()
    log = open_log(directory)
    receipts = [log.append(make_event(number, padding=8000)) for number in range(10, 200)]
    assert not receipts[-1].wait_durable(1)
    assert log.status().write_failures > 0
    assert write_and_retry(naive, lines=200) > 0
    ballast.unlink()
    assert receipts[-1].wait_durable(30)
    assert log.close() == ()
    failing_device.remount()
    assert reading.numbers(directory) == list(range(200))
    assert naive.read_bytes() != _LINE * 200
    kinds = {finding.kind for finding in verify_tree(directory, [], lambda _: None).findings}
    assert kinds <= {"contradicted"}  # nobody knows what a file that was given up holds
