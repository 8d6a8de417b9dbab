"""Which segments are compressed, and that a living log does it by itself."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from riskbus.configuration import Change
from riskbus.runtime import AuditLog
from riskbus.store.upkeep import Pace, Task, is_needed, look_after
from riskbus.store.verification import VolumeReport

Write = Callable[..., None]
Segments = Callable[[], list[Path]]
Verify = Callable[[], VolumeReport]
Open = Callable[..., AuditLog]


class Hurried(Pace):
    """Does not rest."""

    def __init__(self) -> None:
        super().__init__(os.getppid())

    def rest(self) -> None:
        """Return at once."""


def _age(segments: list[Path], seconds: float = 7200) -> None:
    for segment in segments:
        if segment.exists():
            status = segment.stat()
            os.utime(segment, (status.st_atime - seconds, status.st_mtime - seconds))


def _plain(segments: list[Path]) -> list[Path]:
    return [segment for segment in segments if segment.exists()]


@pytest.fixture
def task(path: Path) -> Task:
    """What a process of a new incarnation asks for."""
    return Task(str(path.parent), path.stem, "f" * 32, compressing=True, second="")


def test_what_is_closed_and_quiet_is_compressed(write: Write, segments: Segments, verify: Verify, task: Task) -> None:
    """But for the newest end, from which the next AUDIT_OPEN takes its checkpoint."""
    for _ in range(2):
        write()
    _age(segments())
    assert is_needed(task)
    result = look_after(task, Hurried())
    assert _plain(segments()) == segments()[-1:]
    assert result.compressed == len(segments()) - 1
    assert result.problems == []
    assert not is_needed(task)
    assert verify().worst is None


def test_what_was_written_just_now_stays(write: Write, segments: Segments, task: Task) -> None:
    """Whoever follows the log is still reading it."""
    write()
    assert not is_needed(task)
    _age(segments(), seconds=120)
    look_after(task, Hurried())
    assert _plain(segments()) == segments()[-1:]


def test_the_active_segment_of_a_living_log_stays(
    write: Write, open_log: Open, segments: Segments, task: Task, path: Path
) -> None:
    """Its writer holds its lock, however long it has been quiet."""
    log = open_log()
    assert log.wait_ready(5)
    active = path.parent / path.readlink()
    write()
    _age(segments())
    look_after(task, Hurried())
    assert active in _plain(segments())
    assert log.close() == ()


def test_nothing_is_compressed_where_nobody_wants_it(write: Write, segments: Segments, path: Path) -> None:
    """`RISK_AUDIT_ROTATION_COMPRESS=false`."""
    write()
    _age(segments())
    assert not is_needed(Task(str(path.parent), path.stem, "f" * 32, compressing=False, second=""))


def test_a_log_compresses_its_closed_segments_by_itself(
    write: Write, open_log: Open, segments: Segments, verify: Verify
) -> None:
    """In a process of its own, which is gone when the log is closed."""
    write()
    _age(segments())
    log = open_log()
    while len(_plain(segments())) > 2:  # the newest end, and its own
        assert log.flush(5)
    assert log.close() == ()
    assert verify().worst is None


def test_a_living_log_follows_when_its_settings_change(write: Write, open_log: Open, segments: Segments) -> None:
    """What is closed is looked at soon, and not at the next start."""
    write()
    _age(segments())
    log = open_log(rotation_compress=False)
    assert log.wait_ready(10)
    assert log.flush(10)
    before = _plain(segments())
    log.adopt(
        {"rotation_compress": True},
        Change("reconfigure()", {"rotation_compress": {"before": False, "after": True}}),
    )
    while len(_plain(segments())) > 2:  # the newest end, and its own
        assert log.flush(5)
    assert len(before) > 2


def test_the_program_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """A kill leaves nobody behind that works on the volume."""
    program = "from riskbus.store.upkeep import Pace; Pace(1234567).rest(); print('went on')"
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stdout == b""
