"""A process that comes after one that wrote to the second directory knows what stands there."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from riskbus.events import RiskEvent
from riskbus.format.record import decode, from_line
from riskbus.runtime import AuditLog
from riskbus.runtime.staging import CONTROL
from riskbus.store.ring_files import create_ring
from riskbus.store.stream import last_checkpoint, list_segments
from riskbus.store.upkeep import Pace, Task, look_after
from riskbus.store.verification import verify_tree
from tests.agreement.scribe import Scribe

if TYPE_CHECKING:
    from tests.second_directory.conftest import Directories

Open = Callable[..., AuditLog]
Event = Callable[[int], RiskEvent]


def test_it_is_chained_to_an_incarnation_that_is_in_the_second_directory_only(
    open_log: Open, make_event: Event, directories: "Directories"
) -> None:
    """Its last checkpoint is an anchor: a cut in the second directory, or on the way back, is seen."""
    directories.break_first()
    with open_log() as log:
        assert log.append(make_event(0)).wait_durable(10)
        incarnation = log.status().incarnation
    (segment,) = list_segments(directories.second)
    note = last_checkpoint(directories.second / str(segment))
    directories.mend_first()
    with open_log() as log:
        assert log.append(make_event(1)).wait_durable(10)
    (opened,) = directories.control(directories.first, "AUDIT_OPEN")
    assert opened["previous"] == [{"incarnation": incarnation, "checkpoint": note}]
    report = verify_tree(directories.first, [], lambda _: None, others=[directories.second])
    assert report.worst is None
    assert {stream.compared for stream in report.streams if stream.directory == directories.second} == {True}
    task = Task(str(directories.first), "risk_audit", "f" * 32, compressing=False, second=str(directories.second))
    look_after(task, Pace(os.getppid()))
    assert list_segments(directories.second) == []
    assert verify_tree(directories.first, [], lambda _: None).worst is None


def test_it_is_chained_to_one_in_the_first_directory_while_the_second_cannot_be_read(
    open_log: Open, make_event: Event, directories: "Directories"
) -> None:
    """The second volume is gone: that is no reason to forget the first."""
    with open_log() as log:
        assert log.append(make_event(0)).wait_durable(10)
        incarnation = log.status().incarnation
    directories.second.parent.mkdir(exist_ok=True)
    directories.second.rmdir()
    directories.second.touch()
    with open_log() as log:
        assert log.append(make_event(1)).wait_durable(10)
    opened = directories.control(directories.first, "AUDIT_OPEN")
    assert [[one["incarnation"] for one in each["previous"]] for each in opened] == [[], [incarnation]]


def test_what_a_killed_process_wrote_to_the_second_directory_is_not_written_again(
    open_log: Open, directories: "Directories", shared_memory: Path
) -> None:
    """Whether or not it had come to say that it was durable."""
    directories.first.mkdir()
    directories.second.mkdir()
    scribe = Scribe().open().checkpoint().events(4)
    (name, content) = next(iter(scribe.files().items()))
    (directories.second / name).write_bytes(content[: -len(scribe.lines[-1])])
    ring = create_ring(shared_memory, scribe.incarnation, str(directories.path), 64)
    for seq, line in enumerate(scribe.lines):
        record = from_line(line)[0]
        ring.put(seq, b"{" + record[record.index(b",") + 1 :], CONTROL if b'"AUDIT_' in record else 1)
    ring.give_up()
    del ring
    with open_log() as log:
        while len(list(shared_memory.glob("*.ring"))) > 1:
            assert log.flush(10)
    positions = [
        decode(from_line(line)[0])["data"]["position"]
        for directory in (directories.first, directories.second)
        for segment in list_segments(directory)
        for line in (directory / str(segment)).read_bytes().splitlines()
        if b'"LIMIT_BREACH"' in line
    ]
    assert sorted(positions) == [1002, 1003, 1004, 1005]
