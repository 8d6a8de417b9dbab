"""Seals: signed, in the log, and repeated where the volume's owner cannot rewrite them."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from riskbus.events import RiskEvent
from riskbus.format import checkpoint
from riskbus.runtime import AuditLog, Checkpoint

Open = Callable[..., AuditLog]
Event = Callable[..., RiskEvent]
Read = Callable[[], list[dict[str, Any]]]


def test_the_newest_checkpoint_is_offered_to_the_callback_and_in_the_status(open_log: Open, event: Event) -> None:
    """The reporter carries it into the Kubernetes API."""
    seen: list[Checkpoint] = []
    arrived = threading.Event()

    def keep(sealed: Checkpoint) -> None:
        seen.append(sealed)
        if sealed.size > 1:
            arrived.set()

    log = open_log(on_checkpoint=keep)
    log.append(event())
    assert arrived.wait(10)
    status = log.status()
    assert checkpoint.verify(status.checkpoint, status.public_key).size >= seen[-1].size
    assert seen[-1].origin == f"{status.stream}/{status.incarnation}"


def test_a_checkpoint_never_covers_more_than_is_durable(open_log: Open, event: Event, read: Read) -> None:
    """An anchor over bytes that a power cut takes away would accuse the innocent."""
    log = open_log()
    for _ in range(100):
        log.append(event())
    log.close()
    for record in read():
        if record["event_type"] == "AUDIT_CHECKPOINT":
            assert checkpoint.parse(record["data"]["note"]).size <= record["seq"]


def test_checkpoints_appear_on_standard_output_with_their_key(
    open_log: Open, event: Event, capfd: pytest.CaptureFixture[str]
) -> None:
    """The container runtime's log is out of reach of whoever holds the volume."""
    log = open_log()
    log.append(event())
    log.close()
    lines = [line for line in capfd.readouterr().out.splitlines() if line.startswith("AUDIT_CHECKPOINT ")]
    last = json.loads(lines[-1].removeprefix("AUDIT_CHECKPOINT "))
    assert checkpoint.verify(last["note"], last["key"]).note == log.status().checkpoint


def test_every_incarnation_has_a_key_of_its_own(open_log: Open) -> None:
    """A key that is taken today forges nothing of yesterday."""
    first, second = open_log(), open_log()
    assert first.status().public_key != second.status().public_key


def test_a_callback_that_raises_stops_nothing(open_log: Open, event: Event) -> None:
    """A broken reporter must not break the log."""

    def refuse(_: Checkpoint) -> None:
        raise RuntimeError("no")

    log = open_log(on_checkpoint=refuse)
    assert log.append(event()).wait_durable(30)
    assert log.close() == ()


@pytest.mark.usefixtures("broken_log_sinks")
def test_a_log_sink_that_raises_stops_nothing_either(open_log: Open, event: Event) -> None:
    """The thread that calls back is the one that logs; without it, no checkpoint would reach the reporter."""
    called: SimpleQueue[Checkpoint] = SimpleQueue()

    def keep_and_exit(checkpoint: Checkpoint) -> None:
        called.put(checkpoint)
        sys.exit("no")

    log = open_log(on_checkpoint=keep_and_exit)
    called.get(timeout=30)
    assert log.append(event()).wait_durable(30)
    called.get(timeout=30)
    assert log.close() == ()


_READ_LATE = """
import sys
from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog
with AuditLog(sys.argv[1]) as log:
    for number in range(10):
        log.append(RiskEvent(EventType.THROTTLE, EventPriority.LOW, "test", {"number": number}))
    log.flush()
    sys.stderr.write("written\\n")
    sys.stdin.readline()
"""


@pytest.mark.parametrize("writer", ["thread", "process"])
def test_the_last_anchor_waits_for_a_slow_reader(path: Path, writer: str) -> None:
    """It covers the end of the log, and is the one that an auditor needs most."""
    reading, writing = os.pipe()
    environment = os.environ | {"RISK_AUDIT_WRITER": writer}
    with (
        os.fdopen(reading, "rb") as output,
        subprocess.Popen(
            [sys.executable, "-c", _READ_LATE, str(path)],
            stdin=subprocess.PIPE, stdout=writing, stderr=subprocess.PIPE, env=environment,
        ) as process,
    ):  # fmt: skip
        assert process.stdin is not None
        assert process.stderr is not None
        while b"written" not in process.stderr.readline():
            pass
        fill(writing)
        os.close(writing)
        process.stdin.close()
        while not last_record_is_the_closing_seal(path):
            pass
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)  # it waits for us
        anchors = [json.loads(line.partition(b" ")[2]) for line in output if line.startswith(b"AUDIT_CHECKPOINT ")]
        assert process.wait(30) == 0
    assert anchors[-1]["note"].splitlines()[1] == str(len(path.read_bytes().splitlines()) - 1)


def fill(pipe: int) -> None:
    """Write lines into a pipe until not one more fits."""
    os.set_blocking(pipe, False)
    for lines in (100, 1):
        with suppress(BlockingIOError):
            while True:
                os.write(pipe, b"a line of the program\n" * lines)  # up to 4,096 bytes are written whole or not at all


def last_record_is_the_closing_seal(path: Path) -> bool:
    """Whether all that a log writes in its life is there."""
    lines = path.read_bytes().splitlines(keepends=True)
    kinds = [json.loads(line)["event_type"] for line in lines if line.endswith(b"\n")]
    return kinds[-2:] == ["AUDIT_CLOSE", "AUDIT_CHECKPOINT"]
