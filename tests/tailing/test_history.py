"""`riskbus tail` shows the past, whatever files it is spread over."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import time_ns

import pytest

from riskbus.events import EventPriority, RiskEvent
from riskbus.format.record import dumps, leaf_hash, to_line
from riskbus.runtime import AuditLog
from riskbus.store.stream import list_segments

Tail = Callable[..., subprocess.CompletedProcess[str]]
Open = Callable[..., AuditLog]
Event = Callable[..., RiskEvent]
SECOND = 10**9
BEGAN = 1_768_487_425 * SECOND  # 15 January 2026, 14:30:25 UTC


def numbers(out: str) -> list[int]:
    """Return the numbers of the events in the output of --json."""
    return [json.loads(line)["data"]["number"] for line in out.splitlines()]


@pytest.fixture
def finished(open_log: Open, event: Event, directory: Path) -> Path:
    """Two processes that wrote at the same time, and one after them; one event a second."""
    first, second = open_log(), open_log()
    now = time_ns()
    for number in range(6):
        log = first if number % 2 else second
        log.append(event(number, timestamp_ns=now + number * SECOND))
    first.close()
    second.close()
    with open_log() as third:
        for number in range(6, 9):
            third.append(event(number, timestamp_ns=now + number * SECOND))
    return directory


def test_events_come_in_the_order_of_their_time(tail: Tail, finished: Path) -> None:
    """Over incarnations, as if there were one log."""
    assert numbers(tail(finished, "-n", "all", "--json").stdout) == list(range(9))


@pytest.mark.parametrize("count", [0, 1, 4, 9, 100])
def test_the_last_ones(tail: Tail, finished: Path, count: int) -> None:
    """However many there are."""
    assert numbers(tail(finished, "-n", count, "--json").stdout) == list(range(9))[9 - min(count, 9) :]


def test_ten_are_shown_where_nobody_says_how_many(tail: Tail, open_log: Open, event: Event, directory: Path) -> None:
    """As tail(1) does."""
    with open_log() as log:
        for number in range(20):
            log.append(event(number))
    assert len(tail(directory).stdout.splitlines()) == 10


def test_compressed_segments_are_read_as_well(
    tail: Tail, open_log: Open, event: Event, directory: Path, compress: Callable[[int], None]
) -> None:
    """Closed segments are compressed sooner or later."""
    with open_log(rotation_max_size=64 << 10) as log:
        for number in range(300):
            assert log.append(event(number, padding=1000)).wait_durable(10) or number
    assert len(list_segments(directory)) > 3
    compress(0)
    compress(1)
    assert numbers(tail(directory, "-n", "all", "--json").stdout) == list(range(300))
    assert numbers(tail(directory, "-n", "290", "--json").stdout) == list(range(10, 300))


def test_lines_that_a_later_segment_repeats_are_shown_once(
    tail: Tail, open_log: Open, event: Event, directory: Path
) -> None:
    """After a failure the writer begins a new file and repeats what was not durable."""
    with open_log() as log:
        for number in range(6):
            log.append(event(number))
    (name,) = list_segments(directory)
    lines = (directory / str(name)).read_bytes().splitlines(keepends=True)
    again = str(name).replace("-000000-000000000000", "-000001-000000000003")
    (directory / again).write_bytes(b"".join(lines[3:]))
    for count in ("all", "5"):
        shown = numbers(tail(directory, "-n", count, "--json").stdout)
        assert shown == list(range(6))[-len(shown) :]


@pytest.fixture
def varied(open_log: Open, event: Event, directory: Path) -> Path:
    """Four events, each of another kind, one a second."""
    with open_log() as log:
        log.append(event(0, timestamp_ns=BEGAN))
        log.append(event(1, timestamp_ns=BEGAN + SECOND, event_type="THROTTLE"))
        critical = {"event_type": "KILL_SWITCH", "priority": EventPriority.CRITICAL, "source": "FeedStaleness"}
        log.append(event(2, timestamp_ns=BEGAN + 2 * SECOND, **critical))
        log.append(event(3, timestamp_ns=BEGAN + 3 * SECOND, priority=EventPriority.HIGH, event_id="the-third"))
    return directory


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["--type", "THROTTLE"], [1]),
        (["--type", "throttle,kill_switch"], [1, 2]),
        (["--priority", "CRITICAL,HIGH"], [2, 3]),
        (["--source", "Feed*"], [2]),
        (["--source", "desk", "--priority", "normal"], [0, 1]),
        (["--event-id", "the-third"], [3]),
        (["--since", "2026-01-15T14:30:27Z"], [2, 3]),
        (["--until", "2026-01-15T15:30:26+01:00"], [0]),
        (["--since", "2026-01-15", "--until", "2026-01-16"], [0, 1, 2, 3]),
        (["--since", "1h"], []),
    ],
)
def test_filters(tail: Tail, varied: Path, filters: list[str], expected: list[int]) -> None:
    """Every one has to let a record pass."""
    assert numbers(tail(varied, "--json", *filters).stdout) == expected


def test_the_logs_own_records_are_shown_on_demand(tail: Tail, finished: Path) -> None:
    """They are many, and for auditors."""
    assert "AUDIT_" not in tail(finished, "-n", "all").stdout
    assert tail(finished, "-n", "all", "--control").stdout.count(" AUDIT_OPEN ") == 3
    assert len(tail(finished, "-n", "all", "--type", "AUDIT_CLOSE").stdout.splitlines()) == 3


def test_json_is_what_stands_in_the_file(tail: Tail, finished: Path) -> None:
    """Byte for byte, so that it can be checked elsewhere."""
    ended = tail(finished, "-n", "all", "--json", "--control")
    written = "".join((finished / str(name)).read_text() for name in list_segments(finished))
    assert sorted(ended.stdout.splitlines()) == sorted(written.splitlines())


def test_one_log_of_several_in_a_directory(tail: Tail, open_log: Open, event: Event, directory: Path) -> None:
    """The path of a log names one of them, the directory all."""
    for number, stem in enumerate(("one", "two")):
        with open_log(path=directory / f"{stem}.jsonl") as log:
            log.append(event(number))
    assert numbers(tail(directory / "two.jsonl", "--json").stdout) == [1]
    assert numbers(tail(directory, "--json").stdout) == [0, 1]
    environment = os.environ | {"RISK_AUDIT_LOG_PATH": str(directory / "one.jsonl")}
    assert numbers(tail("--json", env=environment).stdout) == [0]


def test_a_line_for_people(tail: Tail, open_log: Open, event: Event, directory: Path) -> None:
    """Time, priority, type, source, data and circumstances, in columns."""
    with open_log() as log:
        log.append(event(1, timestamp_ns=BEGAN, metadata={"rule": "limit", "by": ["a", 1], "why": "too much"}))
    columns = "2026-01-15T14:30:25.000Z  NORMAL    OVERRIDE        desk        number=1"
    assert tail(directory).stdout == f'{columns}  [rule=limit by=["a",1] why="too much"]\n'


def test_an_event_cannot_steer_the_terminal(tail: Tail, open_log: Open, event: Event, directory: Path) -> None:
    """Escape sequences and line breaks of a payload are shown as text."""
    with open_log() as log:
        log.append(event(1, source="a\nb\x1b[2J", metadata={"\x9b31m": "c\u2028d\x07"}))
    (line,) = tail(directory).stdout.splitlines()
    assert "a\\nb\\x1b[2J" in line
    assert "\\x9b31m=c\\u2028d\\x07" in line


def _on_a_terminal(directory: Path, **environment: str) -> str:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "riskbus", "tail", str(directory)]
    inherited = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "TERM"}}
    subprocess.run(command, stdout=slave, check=True, env=inherited | environment, timeout=60)
    os.close(slave)
    shown = os.read(master, 65536).decode()
    os.close(master)
    return shown


def test_colours_are_for_terminals_only(tail: Tail, open_log: Open, event: Event, directory: Path) -> None:
    """And for people who want them."""
    with open_log() as log:
        log.append(event(1, priority=EventPriority.CRITICAL))
    assert "\033[" in _on_a_terminal(directory, TERM="xterm")
    assert "\033[" not in _on_a_terminal(directory, TERM="xterm", NO_COLOR="1")
    assert "\033[" not in _on_a_terminal(directory, TERM="dumb")
    assert "\033[" not in tail(directory).stdout


def test_damaged_lines_are_left_out_and_pointed_out(tail: Tail, finished: Path) -> None:
    """What is good is shown; what is wrong is verify's business."""
    segment = finished / str(list_segments(finished)[0])
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join([*lines[:3], b"garbage\n\xff\xfe\n", *lines[3:], b'{"seq":']))
    ended = tail(finished, "-n", "all", "--json")
    assert numbers(ended.stdout) == list(range(9))
    assert (
        ended.stderr == f"riskbus: {segment.name} has lines that are no records; run riskbus verify on the directory\n"
    )


@pytest.mark.parametrize("filters", [["--priority", "HIGH"], ["--event-id", "x"], ["--source", "x"], ["--type", "X"]])
def test_a_field_may_be_of_any_type(tail: Tail, finished: Path, filters: list[str]) -> None:
    """What a program put into an event, or a forger into a line, is looked at and never looked up."""
    name = list_segments(finished)[-1]
    fields = {"seq": 99, "ts": "", "event_id": [], "event_type": [], "priority": {}, "source": []}
    record = dumps(fields | {"data": {}, "metadata": {}, "timestamp_ns": []})
    with (finished / str(name)).open("ab") as segment:
        segment.write(to_line(record, leaf_hash(record)))
    ended = tail("-n", "all", *filters, finished)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_a_moment_without_an_offset_is_utc(tail: Tail, open_log: Open, event: Event, directory: Path) -> None:
    """As all times in the log are, wherever one sits."""
    with open_log() as log:
        log.append(event(1, timestamp_ns=int(datetime(2026, 1, 15, 12, tzinfo=UTC).timestamp()) * SECOND))
    environment = os.environ | {"TZ": "America/New_York"}
    assert numbers(tail(directory, "--json", "--since", "2026-01-15T12:00:00", env=environment).stdout) == [1]
    assert numbers(tail(directory, "--json", "--since", "2026-01-15T12:00:01", env=environment).stdout) == []


def test_a_log_that_went_on_in_its_second_directory_is_shown_as_one(
    tail: Tail, open_log: Open, event: Event, directory: Path
) -> None:
    """Named by the environment, or one after the other."""
    with open_log(rotation_max_size=64 << 10) as log:
        for number in range(150):
            assert log.append(event(number, padding=1000)).wait_durable(10)
    second = directory.with_name("second")
    second.mkdir()
    name = str(list_segments(directory)[1])
    (directory / name).rename(second / name)
    assert numbers(tail(directory, second, "-n", "all", "--json").stdout) == list(range(150))
    variables = {"RISK_AUDIT_LOG_PATH": str(directory / "risk_audit.jsonl"), "RISK_AUDIT_SECOND_DIR": str(second)}
    assert numbers(tail("-n", "all", "--json", env=os.environ | variables).stdout) == list(range(150))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["/nonexistent"], "is not a directory"),
        (["--since", "yesterday"], "is no time"),
        (["--priority", "URGENT"], "is no priority"),
        (["-n", "many"], "is no number"),
        (["--colour"], "unrecognized arguments"),
    ],
)
def test_wrong_usage(tail: Tail, arguments: list[str], words: str) -> None:
    """Exit code 64, and what to do instead."""
    ended = tail(*arguments)
    assert ended.returncode == 64
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
