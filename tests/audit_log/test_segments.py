"""How records are spread over files, and whose the link is."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from time import time_ns
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from riskbus.events import EventPriority, EventType, RiskEvent
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
_DAY = 24 * 3600 * 10**9


def test_the_link_points_to_the_active_segment(open_log: Open, event: Event, path: Path) -> None:
    """`tail -F` on the configured path shows what is written now."""
    log = open_log()
    receipt = log.append(event(shown=True))
    assert receipt.wait_durable(30)
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
            assert log.flush(30)
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
    assert second.wait_ready(30)
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
    assert first.wait_ready(30)
    holder = parse_segment_name(os.fspath(path.readlink()))
    assert holder is not None
    oldest, other = (first, second) if holder.incarnation == first.status().incarnation else (second, first)
    assert other.append(event()).wait_durable(30)
    assert parse_segment_name(os.fspath(path.readlink())) == holder
    oldest.close()
    while True:  # the other one takes the link over when it looks next, within about a second
        other.append(event()).wait_durable(30)
        now = parse_segment_name(os.fspath(path.readlink()))
        if now is not None and now.incarnation == other.status().incarnation:
            break


def test_a_file_in_the_links_place_is_left_alone(open_log: Open, event: Event, path: Path, verify: Verify) -> None:
    """An earlier logger's file is evidence too."""
    path.parent.mkdir()
    path.write_text("written by something else\n")
    log = open_log()
    assert log.append(event()).wait_durable(30)
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
            status = 0 if log.flush(30) and log.close() == () else 1
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
    assert log.wait_ready(30)
    child = os.fork()
    if child == 0:
        os._exit(0 if log.close() == () else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(list_segments(path.parent)) == 1


def _wait_for_suspect(log: AuditLog, event: Event, directory: Path) -> dict[str, Any]:
    while True:
        log.append(event(after=True)).wait_durable(10)
        for segment in directory.glob("*.jsonl") if directory.is_dir() else ():
            with suppress(FileNotFoundError):  # the link, between the deletion and the next segment
                for line in segment.read_bytes().splitlines():
                    if b"AUDIT_SUSPECT" in line:
                        return dict(json.loads(line)["data"])


def _delete(segment: Path) -> None:
    segment.unlink()


def _replace(segment: Path) -> None:
    segment.rename(segment.with_name("moved"))
    segment.write_bytes(b"")


def _truncate(segment: Path) -> None:
    os.truncate(segment, 10)


def _delete_directory(segment: Path) -> None:
    moved = segment.parent.rename(segment.parent.with_name("moved"))  # at once: the file does not go before it
    shutil.rmtree(moved)


def _replace_directory(segment: Path) -> None:
    segment.parent.rename(segment.parent.with_name("moved"))
    segment.parent.mkdir()


@pytest.mark.parametrize(
    ("spoil", "finding"),
    [
        (_delete, "deleted"),
        (_replace, "replaced"),
        (_truncate, "truncated"),
        (_delete_directory, "directory-deleted"),
        (_replace_directory, "directory-replaced"),
    ],
)
def test_what_is_done_behind_the_writers_back_is_noticed(  # noqa: PLR0913, PLR0917 -- each is a fixture
    open_log: Open,
    event: Event,
    path: Path,
    registry: CollectorRegistry,
    spoil: Callable[[Path], None],
    finding: str,
) -> None:
    """A new segment where people find it, a record that says so, and a metric for the alert."""
    log = open_log()
    assert log.append(event()).wait_durable(30)
    segment = path.parent / path.readlink()
    spoil(segment)
    assert _wait_for_suspect(log, event, path.parent) == {"segment": segment.name, "finding": finding}
    assert log.append(event(last=True)).wait_durable(30)
    assert b'"last":true' in path.read_bytes()
    assert registry.get_sample_value("audit_suspect_total", {"path": str(path)}) == 1


def test_a_new_day_begins_a_new_segment(open_log: Open, path: Path, verify: Verify) -> None:
    """By the records' own time in UTC, at exactly the first record of the day, also within one batch."""
    log = open_log()
    midnight = (time_ns() // _DAY + 3) * _DAY
    for offset in (-2, -1, 0, 1, _DAY - 1, _DAY, 2 * _DAY):
        log.append(RiskEvent(EventType.THROTTLE, EventPriority.LOW, "test", {}, timestamp_ns=midnight + offset))
    assert log.close(60) == ()
    days = []
    for name in list_segments(path.parent):
        lines = (path.parent / str(name)).read_bytes().splitlines()
        days.append([json.loads(line)["ts"][:10] for line in lines if b"THROTTLE" in line])
    assert [len(day) for day in days if day] == [2, 3, 1, 1]
    assert all(len(set(day)) <= 1 for day in days)
    assert verify().worst is None


_BEFORE_FORK = """
import os, resource, sys
from pathlib import Path
from riskbus.events import EventPriority, RiskEvent
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings

def append(who):
    return log.append(RiskEvent("LIMIT_BREACH", EventPriority.NORMAL, "test", {"who": who}))

log = AuditLog(settings=AuditSettings.from_environment(path=sys.argv[1], writer=sys.argv[2]))
assert append("parent before").wait_durable(60)
"""
_AFTER_FORK = """
assert os.waitpid(child, 0)[1] == 0
assert append("parent after").wait_durable(60)
assert log.close(60) == ()
"""

_CROWDED = f"""{_BEFORE_FORK}
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
child = os.fork()
if child == 0:
    receipt = append("child")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    os._exit(0 if receipt.wait_durable(60) and log.close(60) == () else 1)
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
{_AFTER_FORK}"""

_CROWDED_FROM_THE_START = """
import os, resource, sys
from riskbus import EventPriority, RiskEvent
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings

settings = AuditSettings.from_environment(path=sys.argv[1], writer=sys.argv[2])
limits = resource.getrlimit(resource.RLIMIT_NOFILE)
spare, found = int(sys.argv[3]), []
os.close(probe := os.dup(0))
resource.setrlimit(resource.RLIMIT_NOFILE, (probe + spare, limits[1]))
log = AuditLog(settings=settings)
receipt = log.append(RiskEvent("LIMIT_BREACH", EventPriority.NORMAL, "test", {"spare": spare}))
resource.setrlimit(resource.RLIMIT_NOFILE, limits)
assert receipt.wait_durable(60)
assert log.close(60) == ()
"""

_STARVED = f"""{_BEFORE_FORK}
soft, hard = resource.getrlimit(resource.RLIMIT_AS)
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (4 << 20), hard))  # a ring is larger
child = os.fork()
resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
if child == 0:
    sys.exit(0 if append("child").seq == -1 and log.close(60) == () else 1)
{_AFTER_FORK}"""


@pytest.mark.parametrize("spare", range(0, 12, 2))
def test_a_log_that_begins_with_few_descriptors_left_keeps_what_it_is_given(
    path: Path, writer: str, spare: int, events: Read
) -> None:
    """Whichever of the first files does not open, it raises nothing, and goes on when there are some again."""
    command = [sys.executable, "-c", _CROWDED_FROM_THE_START, str(path), writer, str(spare)]
    subprocess.run(command, timeout=100, check=True)
    assert [record["data"]["spare"] for record in events()] == [spare]


def test_a_fork_without_a_free_descriptor_leaves_the_parents_records_alone(
    path: Path, writer: str, events: Read, verify: Verify
) -> None:
    """The child has its own staging memory, whatever it takes: in the parent's it would overwrite what is accepted."""
    subprocess.run([sys.executable, "-c", _CROWDED, str(path), writer], timeout=200, check=True)
    assert sorted(record["data"]["who"] for record in events()) == ["child", "parent after", "parent before"]
    assert verify().worst is None


def test_a_fork_without_memory_for_a_log_of_its_own_leaves_the_parents_alone(
    path: Path, writer: str, events: Read, verify: Verify
) -> None:
    """Its events go to the emergency stream; it neither writes into its parent's ring nor ends its parent's writer."""
    command = [sys.executable, "-c", _STARVED, str(path), writer]
    output = subprocess.run(command, timeout=200, check=True, capture_output=True, text=True).stdout
    assert output.count("AUDIT_EMERGENCY") == 1
    assert [record["data"]["who"] for record in events()] == ["parent before", "parent after"]
    assert verify().worst is None


def test_a_record_from_the_past_begins_no_segment(open_log: Open, path: Path) -> None:
    """Replayed events keep their times; a segment for each would use up the volume's files."""
    log = open_log()
    for day in (5, 4, 5, 3, 5):
        log.append(RiskEvent(EventType.THROTTLE, EventPriority.LOW, "test", {}, timestamp_ns=day * _DAY))
    assert log.close(60) == ()
    assert len(list_segments(path.parent)) == 1


def test_a_segment_that_is_old_enough_is_left(open_log: Open, event: Event, path: Path) -> None:
    """`rotation_max_age` is in seconds; what is idle stays."""
    log = open_log(rotation_max_age=1)
    assert log.wait_ready(30)
    while len(list_segments(path.parent)) < 2:
        assert log.append(event()).wait_durable(30)


def test_no_line_is_lost_at_rotation_under_load(open_log: Open, event: Event, events: Read, verify: Verify) -> None:
    """Several threads, and a new segment with almost every batch."""
    log = open_log(rotation_max_size=64 << 10)

    def publish(thread: int) -> None:
        for number in range(2000):
            log.append(event(thread=thread, number=number, padding="x" * 200))

    threads = [Thread(target=publish, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.close(30) == ()
    found = [(record["data"]["thread"], record["data"]["number"]) for record in events()]
    for index in range(4):
        assert [number for owner, number in found if owner == index] == list(range(2000))
    assert verify().worst is None
