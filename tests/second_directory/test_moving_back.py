"""What went to the second directory comes back to the first, in order."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from riskbus.events import RiskEvent
from riskbus.runtime import AuditLog
from riskbus.store.relocation import move
from riskbus.store.stream import list_segments
from riskbus.store.upkeep import Pace, Task, look_after
from riskbus.store.verification import verify_tree

if TYPE_CHECKING:
    from tests.second_directory.conftest import Directories

Open = Callable[..., AuditLog]
Event = Callable[[int], RiskEvent]


@pytest.fixture
def spread(open_log: Open, make_event: Event, directories: "Directories") -> "Directories":
    """A finished log whose beginning is in the second directory, in two segments, and whose end is in the first."""
    directories.break_first()
    log = open_log(rotation_max_size=64 << 10)
    for number in range(300):
        assert log.append(make_event(number)).wait_durable(10)
    directories.mend_first()
    while log.status().on_second_directory:
        assert log.append(make_event(0)).wait_durable(10)
    assert log.append(make_event(0)).wait_durable(10)
    assert log.close() == ()
    return directories


@pytest.fixture
def task(directories: "Directories") -> Task:
    """What the next process asks for."""
    return Task(str(directories.first), "risk_audit", "f" * 32, compressing=False, second=str(directories.second))


def test_a_log_moves_its_segments_back_by_itself(open_log: Open, make_event: Event, directories: "Directories") -> None:
    """And the first directory alone is a whole log again."""
    directories.break_first()
    log = open_log()
    assert log.append(make_event(0)).wait_durable(10)
    directories.mend_first()
    number = 1
    while list_segments(directories.second):
        assert log.append(make_event(number)).wait_durable(10)
        number += 1
    assert log.close() == ()
    assert directories.numbers(directories.first) == list(range(number))
    assert list(directories.second.iterdir()) == []
    assert verify_tree(directories.first, [], lambda _: None).worst is None


def test_another_incarnations_segments_are_moved_too(spread: "Directories", task: Task) -> None:
    """Its process ended before it could."""
    names = list_segments(spread.second)
    assert len(names) >= 2
    result = look_after(task, Pace(os.getppid()))
    assert result.moved == len(names)
    assert list_segments(spread.second) == []
    assert set(names) <= set(list_segments(spread.first))
    assert verify_tree(spread.first, [], lambda _: None).worst is None


def test_what_cannot_be_moved_holds_up_what_comes_after(spread: "Directories", task: Task) -> None:
    """In order: a reader of the first directory never sees a later segment before an earlier one."""
    names = list_segments(spread.second)
    with (spread.second / str(names[0])).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert look_after(task, Pace(os.getppid())).moved == 0
    assert list_segments(spread.second) == names


def test_a_copy_that_is_there_already_is_not_made_again(spread: "Directories", task: Task) -> None:
    """A crash after the copy and before the removal leaves both."""
    name = str(list_segments(spread.second)[0])
    content = (spread.second / name).read_bytes()
    (spread.first / name).write_bytes(content)
    assert look_after(task, Pace(os.getppid())).problems == []
    assert (spread.first / name).read_bytes() == content
    assert list_segments(spread.second) == []


def test_a_different_segment_of_the_same_name_is_never_overwritten(spread: "Directories", task: Task) -> None:
    """Neither of the two is ours to judge; both stay, and someone is told."""
    name = str(list_segments(spread.second)[0])
    (spread.first / name).write_bytes(b"something else\n")
    result = look_after(task, Pace(os.getppid()))
    assert result.moved == 0
    (problem,) = result.problems
    assert name in problem
    assert (spread.first / name).read_bytes() == b"something else\n"
    assert (spread.second / name).exists()


def test_a_segment_moves_to_where_there_is_room(tmp_path: Path) -> None:
    """With its mode and its time; nothing else is left behind."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    segment = source / "segment.jsonl"
    segment.write_bytes(b"line\n" * 1000)
    before = segment.stat()
    assert move(segment, target, lambda: None)
    after = (target / segment.name).stat()
    assert (after.st_size, after.st_mode, after.st_mtime_ns) == (before.st_size, before.st_mode, before.st_mtime_ns)
    assert [file.name for file in target.iterdir()] == [segment.name]
    assert list(source.iterdir()) == []
