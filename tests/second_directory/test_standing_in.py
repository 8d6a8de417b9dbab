"""While the first directory refuses, records become durable in the second one."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from riskbus.events import RiskEvent
from riskbus.runtime import AuditLog
from riskbus.status import State

if TYPE_CHECKING:
    from tests.second_directory.conftest import Directories

Open = Callable[..., AuditLog]
Event = Callable[[int], RiskEvent]


def test_receipts_become_durable_in_the_second_directory(
    open_log: Open, make_event: Event, directories: "Directories", capfd: pytest.CaptureFixture[str]
) -> None:
    """Trading goes on with its evidence on a disk, not only on standard output."""
    directories.break_first()
    log = open_log()
    receipts = [log.append(make_event(number)) for number in range(100)]
    assert receipts[-1].wait_durable(10)
    status = log.status()
    log.close()
    assert directories.numbers(directories.second) == list(range(100))
    assert "AUDIT_EMERGENCY" not in capfd.readouterr().out
    assert status.on_second_directory
    assert status.state is State.WRITING
    assert status.write_failures >= 1


def test_writing_returns_to_the_first_directory_when_it_takes_records_again(
    open_log: Open, make_event: Event, directories: "Directories", registry: CollectorRegistry
) -> None:
    """With a new segment, and a record of what went elsewhere meanwhile."""
    directories.break_first()
    log = open_log()
    assert log.append(make_event(0)).wait_durable(10)
    assert registry.get_sample_value("audit_second_directory_active", {"path": str(directories.path)}) == 1
    directories.mend_first()
    number = 1
    while log.status().on_second_directory:
        assert log.append(make_event(number)).wait_durable(10)
        number += 1
    assert log.append(make_event(number)).wait_durable(10)
    assert log.close() == ()
    first, second = directories.numbers(directories.first), directories.numbers(directories.second)
    assert second + first == list(range(number + 1))
    assert first
    (recovered,) = directories.control(directories.first, "AUDIT_RECOVERED")
    assert recovered["second_directory"] is True
    assert recovered["first_seq"] == 0
    value = registry.get_sample_value
    assert value("audit_second_directory_active", {"path": str(directories.path)}) == 0
    assert value("audit_outages_total", {"path": str(directories.path), "cause": "error"}) == 1


def test_a_file_in_the_place_of_both_directories_loses_nothing(
    open_log: Open, make_event: Event, directories: "Directories"
) -> None:
    """Both refuse: the emergency stream, and whichever comes back first takes everything in order."""
    directories.break_first()
    directories.second.touch()
    log = open_log()
    receipts = [log.append(make_event(number)) for number in range(50)]
    assert not receipts[-1].wait_durable(0.3)
    assert log.status().state is State.FAILING
    assert log.status().emergency_events >= 50
    directories.second.unlink()
    assert receipts[-1].wait_durable(20)
    assert log.close() == ()
    assert directories.numbers(directories.second) == list(range(50))


def test_nothing_goes_to_the_second_directory_while_the_first_is_well(
    open_log: Open, make_event: Event, directories: "Directories"
) -> None:
    """It is for a day that may never come."""
    log = open_log()
    assert log.append(make_event(0)).wait_durable(10)
    log.close()
    assert directories.numbers(directories.first) == [0]
    assert not directories.second.is_dir() or list(directories.second.iterdir()) == []


def test_a_second_directory_on_the_same_volume_is_warned_of(
    open_log: Open, directories: "Directories", registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """It is found out while it is not needed."""
    with caplog.at_level(logging.WARNING, "riskbus.audit"):
        log = open_log()
        while not any("is on the log's own volume" in record.getMessage() for record in caplog.records):
            log.flush(0.01)
    value = registry.get_sample_value("audit_second_mount_valid", {"path": str(directories.path)})
    assert value == 0  # the test's directories are in /tmp
