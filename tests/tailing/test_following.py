"""`riskbus tail --follow` misses nothing and shows nothing twice."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from riskbus.events import RiskEvent
from riskbus.runtime import AuditLog
from riskbus.store.following import Follower
from riskbus.store.stream import list_segments

Start = Callable[..., subprocess.Popen[str]]
Open = Callable[..., AuditLog]
Event = Callable[..., RiskEvent]
Compress = Callable[[int], None]


def read_numbers(process: subprocess.Popen[str], count: int) -> list[int]:
    """Wait for so many events and return their numbers."""
    assert process.stdout is not None
    return [json.loads(process.stdout.readline())["data"]["number"] for _ in range(count)]


def test_rotations_restarts_and_processes_side_by_side(
    start: Start, open_log: Open, event: Event, directory: Path
) -> None:
    """Begun before there is a directory, and before the past there is nothing."""
    process = start("-f", directory, "--json")
    assert process.stderr is not None
    assert "does not exist yet; waiting for it" in process.stderr.readline()
    with open_log(rotation_max_size=64 << 10) as log:
        for number in range(300):
            log.append(event(number, padding=1000))
        log.flush(30)
        assert read_numbers(process, 300) == list(range(300))
    assert len(list_segments(directory)) > 1
    with open_log() as one, open_log() as other:
        for number in range(300, 310):
            (one if number % 2 else other).append(event(number))
        assert sorted(read_numbers(process, 10)) == list(range(300, 310))


def test_the_past_first_and_then_what_comes(start: Start, open_log: Open, event: Event, directory: Path) -> None:
    """Without a gap and without a repetition between the two."""
    with open_log() as log:
        for number in range(5):
            log.append(event(number))
        log.flush(10)
        process = start("-f", "-n", "2", directory, "--json")
        assert read_numbers(process, 2) == [3, 4]
        for number in range(5, 10):
            log.append(event(number))
        assert read_numbers(process, 5) == [5, 6, 7, 8, 9]


def test_an_interrupt_ends_it_in_silence(start: Start, open_log: Open, event: Event, directory: Path) -> None:
    """Ctrl-C is how one leaves."""
    with open_log() as log:
        log.append(event(0))
    process = start("-f", directory, "--json")
    assert read_numbers(process, 1) == [0]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "riskbus: interrupted\n")


def test_a_reader_that_goes_away_ends_it(start: Start, open_log: Open, event: Event, directory: Path) -> None:
    """`riskbus tail -f | head -1` comes back, also when nothing more happens."""
    with open_log() as log:
        log.append(event(0))
    process = start("-f", directory, "--json")
    assert read_numbers(process, 1) == [0]
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(30) == 141
    assert process.stderr.read() == ""


class Reading:
    """A follower whose looks are made by hand."""

    def __init__(self, directory: Path) -> None:
        self.notices: list[str] = []
        self.follower = Follower([(directory, None)], self.notices.append)

    def numbers(self) -> list[int]:
        """Look once, and return the numbers of the events that came."""
        entries = [entry.fields for entry in self.follower.poll()]
        return [fields["data"]["number"] for fields in entries if not fields["event_type"].startswith("AUDIT_")]


@pytest.fixture
def reading(directory: Path) -> Reading:
    """A follower that has not looked yet."""
    return Reading(directory)


@pytest.fixture
def lines(open_log: Open, event: Event, directory: Path) -> tuple[str, list[bytes]]:
    """The name and the lines of a finished segment that is taken away again: AUDIT_OPEN, events 0 to 5, the end."""
    with open_log() as log:
        for number in range(6):
            log.append(event(number))
    (name,) = list_segments(directory)
    content = (directory / str(name)).read_bytes().splitlines(keepends=True)
    opening = [line for line in content if b"AUDIT_" in line and line.startswith(b'{"seq":0,')]
    events = [line for line in content if b"AUDIT_" not in line]
    (directory / str(name)).unlink()
    return str(name), [*opening, *events]


def test_a_line_is_shown_when_it_is_complete(reading: Reading, directory: Path, lines: tuple[str, list[bytes]]) -> None:
    """Not half of it, and not twice."""
    name, content = lines
    with (directory / name).open("wb", buffering=0) as file:
        file.write(content[0] + content[1][:40])
        assert reading.numbers() == []
        file.write(content[1][40:-1])
        assert reading.numbers() == []
        file.write(b"\n" + content[2][:1])
        assert reading.numbers() == [0]
    assert reading.numbers() == []


def test_what_was_almost_complete_at_the_beginning_is_shown_too(
    reading: Reading, directory: Path, lines: tuple[str, list[bytes]]
) -> None:
    """The look that skips the past stops before an unfinished line."""
    name, content = lines
    with (directory / name).open("wb", buffering=0) as file:
        file.write(content[0] + content[1] + content[2][:-1])
        reading.follower.skip()
        file.write(b"\n")
        assert reading.numbers() == [1]


def test_a_segment_compressed_between_two_looks_loses_nothing(
    reading: Reading, directory: Path, lines: tuple[str, list[bytes]], compress: Compress
) -> None:
    """Whether part of it was seen or nothing."""
    name, content = lines
    (directory / name).write_bytes(b"".join(content[:3]))
    assert reading.numbers() == [0, 1]
    (directory / name).write_bytes(b"".join(content))
    compress(0)
    assert reading.numbers() == [2, 3, 4, 5]
    assert reading.numbers() == []
    assert reading.notices == []


def test_lines_that_a_later_segment_repeats_are_shown_once(
    reading: Reading, directory: Path, lines: tuple[str, list[bytes]]
) -> None:
    """After a failed sync the writer begins a new file with what was not durable."""
    name, content = lines
    (directory / name).write_bytes(b"".join(content[:5]))
    reading.follower.skip()
    again = name.replace("-000000-000000000000", "-000001-000000000003")
    (directory / again).write_bytes(b"".join(content[3:]))
    assert reading.numbers() == [4, 5]


def test_a_truncated_file_is_pointed_out(reading: Reading, directory: Path, lines: tuple[str, list[bytes]]) -> None:
    """And what comes is shown all the same."""
    name, content = lines
    (directory / name).write_bytes(b"".join(content[:4]))
    assert reading.numbers() == [0, 1, 2]
    os.truncate(directory / name, len(content[0]))
    assert reading.numbers() == []
    assert "shorter than before" in reading.notices[0]
    (directory / name).write_bytes(b"".join(content))
    assert reading.numbers() == [3, 4, 5]


def test_a_deleted_file_and_a_deleted_directory_are_pointed_out(
    reading: Reading, directory: Path, lines: tuple[str, list[bytes]]
) -> None:
    """Following goes on when there is something again."""
    name, content = lines
    (directory / name).write_bytes(b"".join(content[:2]))
    assert reading.numbers() == [0]
    directory.rename(f"{directory}.away")
    assert reading.numbers() == []
    assert reading.notices == [f"{name} is not there any more; run riskbus verify on the directory"]
    directory.mkdir()
    again = name.replace("-000000-000000000000", "-000001-000000000002")
    (directory / again).write_bytes(b"".join(content[2:]))
    assert reading.numbers() == [1, 2, 3, 4, 5]
