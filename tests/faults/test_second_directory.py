"""Real volumes that fail while a second one is well."""

import json
import logging
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskbus.events import RiskEvent
from riskbus.runtime import AuditLog
from riskbus.status import State
from riskbus.store.stream import list_segments
from riskbus.store.verification import verify_tree
from riskbus.testing import read_events

MakeVolume = Callable[..., Any]
Open = Callable[..., AuditLog]
Event = Callable[..., RiskEvent]


def _numbers(*directories: Path) -> list[int]:
    """Return the numbers of the events in all of them, as often as they stand there."""
    found = [event["data"]["number"] for directory in directories for event in read_events(directory / "any")]
    return sorted(found)


def _append_until(log: AuditLog, make_event: Event, first: int, on_second: bool) -> int:
    """Append until records go where they should; return the number of the next event."""
    number = first
    while log.status().on_second_directory is not on_second:
        assert log.append(make_event(number)).wait_durable(30)
        number += 1
    assert log.append(make_event(number)).wait_durable(30)
    return number + 1


def test_a_full_volume_gives_way_and_gets_its_segments_back(
    make_volume: MakeVolume, open_log: Open, make_event: Event
) -> None:
    """No record waits, none goes to standard output, and in the end the first volume holds everything."""
    first, second = make_volume(16), make_volume(16)
    directory, other = first.path / "audit", second.path / "audit"
    log = open_log(directory, second_dir=other)
    assert log.append(make_event(0)).wait_durable(5)
    ballast = first.fill()
    receipts = [log.append(make_event(number, padding=4000)) for number in range(1, 200)]
    assert receipts[-1].wait_durable(30)
    assert log.status().on_second_directory
    assert log.status().emergency_events == 0
    ballast.unlink()
    following = _append_until(log, make_event, 200, on_second=False)
    while list_segments(other):  # the upkeep moves them back
        assert log.flush(5)
    assert log.close() == ()
    assert _numbers(directory) == list(range(following))
    assert verify_tree(directory, [], lambda _: None).worst is None


def test_a_volume_that_becomes_read_only_gives_way(
    make_volume: MakeVolume, open_log: Open, make_event: Event, caplog: pytest.LogCaptureFixture
) -> None:
    """Everything accepted is durable on the second volume, and the log says what heals the first."""
    first, second = make_volume(16), make_volume(16)
    with caplog.at_level(logging.WARNING, "riskbus.audit"):
        log = open_log(first.path / "audit", second_dir=second.path / "audit")
        assert log.append(make_event(0)).wait_durable(5)
        subprocess.run(["mount", "-o", "remount,ro", first.path], check=False)  # refused while a file is open
        first.break_down()
        receipts = [log.append(make_event(number)) for number in range(1, 50)]
        assert receipts[-1].wait_durable(30)
        assert log.close() == ()
    assert log.status().on_second_directory
    assert set(range(1, 50)) <= set(_numbers(second.path / "audit"))
    refusals = [record.getMessage() for record in caplog.records if "refused a write" in record.getMessage()]
    assert any("only a restart of the pod" in text for text in refusals)


def test_a_volume_that_is_gone_is_not_mistaken_for_what_lies_below(
    make_volume: MakeVolume, open_log: Open, make_event: Event
) -> None:
    """After an unmount the path still exists, on the container's own disk, and would take every record."""
    first, second = make_volume(16), make_volume(16)
    log = open_log(first.path, second_dir=second.path / "audit")
    assert log.append(make_event(0)).wait_durable(5)
    subprocess.run(["umount", "-l", first.path], check=True)
    following = _append_until(log, make_event, 1, on_second=True)
    assert log.close() == ()
    assert list(first.path.iterdir()) == []
    assert following - 1 in _numbers(second.path / "audit")
    subprocess.run(["mount", "-o", "loop", first.image, first.path], check=True)
    assert _numbers(first.path, second.path / "audit") == list(range(following))


def test_a_volume_that_is_gone_without_a_second_one_is_an_outage(
    make_volume: MakeVolume, open_log: Open, make_event: Event, capfd: pytest.CaptureFixture[str]
) -> None:
    """Standard output and memory, not a directory that goes with the container."""
    volume = make_volume(16)
    log = open_log(volume.path)
    assert log.append(make_event(0)).wait_durable(5)
    subprocess.run(["umount", "-l", volume.path], check=True)
    number = 1
    while log.status().state is not State.FAILING:
        log.append(make_event(number)).wait_durable(0.05)
        number += 1
    left = [json.loads(record)["data"].get("number") for record in log.close(timeout=0.5)]
    assert number - 1 in left
    assert "AUDIT_EMERGENCY" in capfd.readouterr().out
    assert list(volume.path.iterdir()) == []
    subprocess.run(["mount", "-o", "loop", volume.image, volume.path], check=True)  # for the fixture's unmount
