"""Writers come and go; what an incarnation promised stays."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.format.names import SegmentName
from riskbus.format.record import encode_event
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings
from riskbus.store.ring_files import create_ring
from riskbus.store.segment import Segment
from riskbus.store.verification import VolumeReport

Open = Callable[..., AuditLog]
Event = Callable[..., RiskEvent]
Read = Callable[[], list[dict[str, Any]]]
Verify = Callable[[], VolumeReport]


def _writers_of(trader: int) -> list[int]:
    listed = Path(f"/proc/{trader}/task").glob("*/children")
    children = [int(number) for file in listed for number in file.read_text().split()]
    return [child for child in children if b"riskbus.runtime.child" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.mark.parametrize("writer", ["process"], indirect=True)
def test_a_writer_that_is_killed_is_followed_by_another(
    open_log: Open, event: Event, events: Read, read: Read, verify: Verify
) -> None:
    """The incarnation, its numbers and its key go on; nothing is lost, repeated or left without a seal."""
    log = open_log()
    receipts = []
    for life in range(3):
        receipts += [log.append(event(number=life * 500 + number)) for number in range(500)]
        assert receipts[-1].wait_durable(30)
        (writer,) = _writers_of(os.getpid())
        os.kill(writer, signal.SIGKILL)
        receipts += [log.append(event(late=number)) for number in range(200)]
    assert receipts[-1].wait_durable(30)
    assert all(receipt.durable for receipt in receipts)
    log.close()
    numbers = [record["data"].get("number") for record in _once(events())]
    assert [number for number in numbers if number is not None] == list(range(1500))
    assert len(numbers) == 2100
    assert sum(record["event_type"] == "AUDIT_OPEN" for record in _once(read())) == 1
    report = verify()
    assert report.worst is None
    assert len(report.streams[0].incarnations) == 1
    assert report.streams[0].incarnations[0].unsealed == 0


def _once(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out the copies that a writer left in the segment that it could not finish."""
    return list({record["seq"]: record for record in records}.values())


_TRADER = """
import os, sys
from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings
log = AuditLog(settings=AuditSettings(path=sys.argv[1], staging_dir=sys.argv[2], writer="process"))
assert log.wait_ready(20)
for number in range(3000):
    receipt = log.append(RiskEvent(EventType.THROTTLE, EventPriority.LOW, "test", {"number": number}))
os.write(1, b"accepted\\n")  # in one piece, between the lines of the log
input()
"""


def test_the_writer_finishes_and_ends_when_its_trader_is_killed(path: Path, shared_memory: Path, events: Read) -> None:
    """It outlives nothing, and takes what was accepted with it to the volume."""
    command = [sys.executable, "-c", _TRADER, str(path), str(shared_memory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as trader:
        assert trader.stdout is not None
        assert b"accepted\n" in iter(trader.stdout.readline, b"")
        (writer,) = _writers_of(trader.pid)
        descriptor = os.pidfd_open(writer)
        trader.kill()
        trader.wait()
    try:
        assert select.select([descriptor], [], [], 20)[0]
    finally:
        os.close(descriptor)
    assert [record["data"]["number"] for record in events()] == list(range(3000))


def test_a_trader_killed_before_the_first_seal_leaves_a_log_that_can_be_verified(
    path: Path, shared_memory: Path, events: Read, verify: Verify
) -> None:
    """Its writer puts the seal in the place that was kept for it, and everything that was accepted behind."""
    ring = create_ring(shared_memory, "a" * 32, str(path), 8)
    mine, its = socket.socketpair()
    bell, call = os.eventfd(0), os.eventfd(0)
    numbers = (ring.descriptor, bell, call, its.fileno())
    command = [sys.executable, "-c", "from riskbus.runtime.child import main; main()", *map(str, numbers)]
    body = encode_event(RiskEvent(EventType.THROTTLE, EventPriority.LOW, "test", {"number": 2}))
    with (
        subprocess.Popen(["sleep", "100"]) as trader,
        subprocess.Popen([*command, str(trader.pid)], pass_fds=numbers, stdout=subprocess.DEVNULL) as writer,
        Connection(mine.detach()) as connection,
    ):
        its.close()
        settings = AuditSettings(path=path)
        connection.send((settings, f"{settings.stream_name()}/{ring.incarnation}", b"\1" * 32, ring.path, False))
        while (message := connection.recv())[:2] != ("put", 1):
            if message[0] == "put":
                ring.put(*message[1:])
                ring.put(2, body, EventPriority.LOW)
                connection.send(message[1])
            if message[0] in {"claimed", "settings", "stage", "waiting_aside"}:
                connection.send({"claimed": 3, "settings": settings}.get(message[0]))
        trader.kill()
        connection.close()
        assert writer.wait(60) == 0
    os.close(bell)
    os.close(call)
    ring.give_up()
    assert [record["data"]["number"] for record in events()] == [2]
    assert verify().worst is None


def test_a_writer_that_comes_too_late_ends_without_a_word(shared_memory: Path, path: Path) -> None:
    """On a machine that is overloaded, the next life of the program may have taken the ring over in the meantime."""
    ring = create_ring(shared_memory, "a" * 32, str(path), 8)
    ring.remove()
    mine, its = socket.socketpair()
    bell, call = os.eventfd(0), os.eventfd(0)
    numbers = (ring.descriptor, bell, call, its.fileno())
    command = [sys.executable, "-c", "from riskbus.runtime.child import main; main()", *map(str, numbers)]
    with mine, its, Connection(os.dup(mine.fileno())) as connection:
        connection.send((AuditSettings(path=path), "name", b"\0" * 32, ring.path, False))
        done = subprocess.run(
            [*command, str(os.getpid())], pass_fds=numbers, capture_output=True, timeout=60, check=False
        )
    os.close(bell)
    os.close(call)
    ring.give_up()
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert not path.parent.exists()


def test_without_shared_memory_the_writer_is_a_thread(open_log: Open, event: Event, tmp_path: Path) -> None:
    """A process of its own would not see the records; trading and auditing go on all the same."""
    log = open_log(writer="process", staging_dir=tmp_path)
    assert log.append(event()).wait_durable(30)
    assert not _writers_of(os.getpid())


def test_letting_go_twice_closes_nobody_elses_file(tmp_path: Path) -> None:
    """A number that was closed belongs to whoever opens the next file: a trader's socket, perhaps."""
    segment = Segment(tmp_path, SegmentName("risk_audit", "0" * 32, 0, 0))
    segment.abandon()
    with (tmp_path / "other").open("wb") as other:
        segment.abandon()
        assert other.write(b"mine") == 4


def test_a_log_that_is_closed_wakes_nobody_elses_file(open_log: Open, event: Event, tmp_path: Path) -> None:
    """An append that comes late must not ring a bell whose number is another file's by now."""
    log = open_log()
    assert log.append(event()).wait_durable(30)
    wake = log._incarnation.host.wake  # noqa: SLF001 -- what a late append calls
    assert log.close() == ()
    with contextlib.ExitStack() as opened:
        others = [opened.enter_context((tmp_path / str(number)).open("wb")) for number in range(20)]
        wake()
        assert [os.fstat(other.fileno()).st_size for other in others] == [0] * 20


@pytest.mark.parametrize("writer", ["process"], indirect=True)
def test_waking_the_writer_does_not_let_go_of_the_interpreter(open_log: Open) -> None:
    """Who lets go for an instant, again and again, starves every other thread: none ever waits long enough to ask."""
    log = open_log()
    assert log.wait_ready(30)
    gate, waits, ran = threading.Lock(), threading.Event(), threading.Event()
    gate.acquire()

    def run() -> None:
        waits.set()
        gate.acquire()
        ran.set()

    before = sys.getswitchinterval()
    sys.setswitchinterval(100)  # from here on a thread runs until it lets go by itself
    try:
        waiting = threading.Thread(target=run)
        waiting.start()
        waits.wait()  # and so until it waits for the gate
        gate.release()
        for _ in range(20_000):
            log.hurry()
        assert not ran.is_set()
    finally:
        sys.setswitchinterval(before)
    waiting.join()
