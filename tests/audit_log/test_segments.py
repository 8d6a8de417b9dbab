"""How records are spread over files, and whose the link is."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskbus.events import RiskEvent
from riskbus.format.names import parse_segment_name
from riskbus.runtime import AuditLog
from riskbus.store.stream import list_segments
from riskbus.store.verification import VolumeReport

# Python 3.12 and later warn of every fork beside threads, which is what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

Open = Callable[..., AuditLog]
Event = Callable[..., RiskEvent]
Read = Callable[[], list[dict[str, Any]]]
Verify = Callable[[], VolumeReport]


def test_the_link_points_to_the_active_segment(open_log: Open, event: Event, path: Path) -> None:
    """`tail -F` on the configured path shows what is written now."""
    log = open_log()
    receipt = log.append(event(shown=True))
    assert receipt.wait_durable(5)
    target = parse_segment_name(os.fspath(path.readlink()))
    assert target is not None
    assert target.incarnation == log.status().incarnation
    assert b'"shown":true' in path.read_bytes()


def test_no_record_is_lost_at_rotation(open_log: Open, event: Event, events: Read, path: Path, verify: Verify) -> None:
    """A new segment every 64 KiB, under load."""
    log = open_log(rotation_max_size=64 << 10)
    for number in range(3000):
        log.append(event(number=number, padding="x" * 100))
        if number % 100 == 0:
            assert log.flush(5)
    log.close()
    assert len(list_segments(path.parent)) > 5
    assert [record["data"]["number"] for record in events()] == list(range(3000))
    assert verify().worst is None


def test_incarnations_are_chained(open_log: Open, event: Event, read: Read, verify: Verify) -> None:
    """Each AUDIT_OPEN carries the last checkpoint of the one before, so that cutting its end shows."""
    first = open_log()
    first.append(event())
    first.close()
    second = open_log()
    assert second.wait_ready(5)
    opened = [record["data"] for record in read() if record["event_type"] == "AUDIT_OPEN"]
    notes = [record["data"]["note"] for record in read() if record["event_type"] == "AUDIT_CHECKPOINT"]
    assert opened[0]["previous"] == []
    (previous,) = opened[1]["previous"]
    assert previous["incarnation"] == opened[0]["incarnation"]
    assert previous["checkpoint"] in notes
    assert verify().worst is None


def test_the_oldest_living_incarnation_keeps_the_link(open_log: Open, event: Event, path: Path) -> None:
    """Two writers on one directory do not fight over what people follow."""
    first, second = open_log(), open_log()
    assert first.wait_ready(5)
    holder = parse_segment_name(os.fspath(path.readlink()))
    assert holder is not None
    oldest, other = (first, second) if holder.incarnation == first.status().incarnation else (second, first)
    assert other.append(event()).wait_durable(5)
    assert parse_segment_name(os.fspath(path.readlink())) == holder
    oldest.close()
    while True:  # the other one takes the link over when it looks next, within about a second
        other.append(event()).wait_durable(5)
        now = parse_segment_name(os.fspath(path.readlink()))
        if now is not None and now.incarnation == other.status().incarnation:
            break


def test_a_file_in_the_links_place_is_left_alone(open_log: Open, event: Event, path: Path, verify: Verify) -> None:
    """An earlier logger's file is evidence too."""
    path.parent.mkdir()
    path.write_text("written by something else\n")
    log = open_log()
    assert log.append(event()).wait_durable(5)
    log.close()
    assert path.read_text() == "written by something else\n"
    assert verify().streams[0].incarnations[0].events == 1


def test_a_forked_child_writes_its_own_incarnation(open_log: Open, event: Event, events: Read, verify: Verify) -> None:
    """Prefork servers fork with the log open; neither side may damage the other."""
    log = open_log()
    log.append(event(who="parent", when="before"))
    child = os.fork()
    if child == 0:
        try:
            log.append(event(who="child"))
            status = 0 if log.flush(10) and log.close() == () else 1
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    log.append(event(who="parent", when="after"))
    log.close()
    written = [(record["data"]["who"], record["data"].get("when")) for record in events()]
    assert sorted(written, key=str) == [("child", None), ("parent", "after"), ("parent", "before")]
    assert len(verify().streams[0].incarnations) == 2
    assert verify().worst is None


def test_a_child_that_never_publishes_leaves_no_file(open_log: Open, path: Path) -> None:
    """Most forks only run another program."""
    log = open_log()
    assert log.wait_ready(5)
    child = os.fork()
    if child == 0:
        os._exit(0 if log.close() == () else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(list_segments(path.parent)) == 1


def test_a_segment_deleted_while_it_is_written_is_noticed(open_log: Open, event: Event, read: Read, path: Path) -> None:
    """Records must not go on into a file that nobody can find."""
    log = open_log()
    assert log.append(event()).wait_durable(5)
    (path.parent / path.readlink()).unlink()
    while not any(record["event_type"] == "AUDIT_SUSPECT" for record in read()):
        log.append(event(after=True)).wait_durable(5)
    (suspect,) = (record["data"] for record in read() if record["event_type"] == "AUDIT_SUSPECT")
    assert suspect["finding"] == "deleted"
