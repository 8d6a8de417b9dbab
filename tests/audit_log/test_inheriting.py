"""A process is killed in the middle of a write: half a line is on the volume, and its record in the ring.

The next incarnation writes the record and says so, so that the half line is no damage for whoever verifies.
"""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from riskbus.events import EventPriority, RiskEvent
from riskbus.format.record import encode_control, leaf_hash, to_line, with_number
from riskbus.runtime import AuditLog
from riskbus.runtime.feed import take
from riskbus.runtime.inheritance import Inheritance
from riskbus.runtime.staging import CONTROL
from riskbus.settings import AuditSettings
from riskbus.store.ring import Ring
from riskbus.store.ring_files import create_ring
from riskbus.store.verification import VolumeReport
from riskbus.testing import read_events
from tests.agreement.scribe import Scribe
from tests.audit_log.rings import feed_of, staging_on
from tests.audit_log.steps import every_step, killed_at_step
from tests.waiting import within

# Python 3.12 and later warn of every fork beside threads; the children here do nothing but what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

Open = Callable[..., AuditLog]
Verify = Callable[[], VolumeReport]
SLOTS = 64


def _ring(path: Path, shared_memory: Path, scribe: Scribe) -> Ring:
    path.parent.mkdir(exist_ok=True)
    ring = create_ring(shared_memory, scribe.incarnation, str(path), SLOTS)
    status = path.parent.stat()
    ring.device, ring.inode = status.st_dev, status.st_ino
    return ring


def _bodies(scribe: Scribe) -> list[tuple[bytes, int]]:
    """Return the bodies of a scribe's records, and their kinds, as they are staged."""
    bodies = [b"{" + line[line.index(b",") + 1 : line.rindex(b',"hash":"')] + b"}" for line in scribe.lines]
    return [(body, CONTROL if b'"AUDIT_' in body else 1) for body in bodies]


def _write(path: Path, scribe: Scribe, lines: list[bytes], written: int, rest: int) -> None:
    """Bring so many lines to the volume, and so many bytes of the next one."""
    content = b"".join(lines[:written]) + (lines[written][:rest] if rest else b"")
    if content:
        (path.parent / scribe.name(0, 0)).write_bytes(content)


class Heir:
    """A process that takes over what an earlier one left, in parts, so that it can be killed between them."""

    def __init__(self, path: Path, shared_memory: Path, scribe: Scribe) -> None:
        self._path, self._scribe = path, scribe
        self.ring = _ring(path, shared_memory, scribe)
        staging = staging_on(self.ring)
        self._feed = feed_of(staging)
        for body, kind in _bodies(scribe):
            staging.stage(body, kind)

        def record(kind: str, payload: dict[str, Any]) -> None:
            staging.stage(encode_control(kind, payload, "id", scribe.now_ns), CONTROL)

        self.inheritance = Inheritance(self._feed, AuditSettings(path=path), record)
        self.inheritance.find(shared_memory)

    def killed(self, written: int = 0, rest: int = 0) -> int:
        """End it when so much was written; return how many records it had."""
        records = [with_number(seq, body) for seq, body, _ in take(self._feed, 0, 100)]
        lines = [to_line(record, leaf_hash(record)) for record in records]
        _write(self._path, self._scribe, lines, min(written, len(lines)), rest if written < len(lines) else 0)
        for ring in [self.ring, *self.inheritance._rings]:  # noqa: SLF001 -- their locks end with a process
            ring.give_up()
        del self.inheritance  # and with it the maps, which hold the locks as well
        return len(records)


@pytest.fixture
def killed(path: Path, shared_memory: Path) -> Callable[..., Scribe]:
    """Leave what an incarnation leaves that was killed: five records, so many on the volume, and a part of the next."""

    def make(written: int, rest: int, *, own: bool = False) -> Scribe:
        scribe = Scribe().open().checkpoint().events(1)
        scribe = scribe.control("AUDIT_CLOCK", synchronized=True) if own else scribe.events(1)
        ring = _ring(path, shared_memory, scribe.events(2))
        for seq, (body, kind) in enumerate(_bodies(scribe)):
            ring.put(seq, body, kind)
        _write(path, scribe, scribe.lines, written, rest)
        ring.give_up()
        return scribe

    return make


@pytest.fixture
def inherit(open_log: Open, verify: Verify, path: Path, shared_memory: Path) -> Callable[[int], set[str]]:
    """Let a log inherit what is there: nothing is wrong, and so many events are there once; return what is noted."""

    def run(expected: int) -> set[str]:
        log = open_log()
        assert log.wait_ready(10)
        while len(list(shared_memory.glob("*.ring"))) > 1:  # all but its own are empty, and gone
            assert log.flush(10)
        assert log.close(10) == ()
        report = verify()
        assert report.worst is None, report.findings
        found = [event["data"]["position"] for event in read_events(path)]
        assert sorted(found) == sorted(set(found))
        assert len(found) == expected
        return {finding.kind for finding in report.findings}

    return run


@pytest.mark.parametrize("rest", [1, 9, 30, 200, -1])  # -1: only its line feed is missing
def test_half_a_line_is_no_damage_where_the_next_incarnation_has_its_record(
    killed: Callable[..., Scribe], inherit: Callable[[int], set[str]], rest: int
) -> None:
    """Wherever the write ended."""
    killed(3, rest)
    assert inherit(4) == {"torn-recovered"}


def test_half_a_record_of_the_logs_own_is_no_damage_either(
    killed: Callable[..., Scribe], inherit: Callable[[int], set[str]]
) -> None:
    """A checkpoint of an ended process is not written again; what it was to be is said."""
    killed(3, 120, own=True)
    assert inherit(3) == {"torn-recovered"}


def test_half_an_opening_is_no_damage_either(killed: Callable[..., Scribe], inherit: Callable[[int], set[str]]) -> None:
    """Killed in its first write: nothing else is there of that incarnation."""
    killed(0, 99)
    assert inherit(4) == {"torn-recovered"}


def test_a_whole_line_needs_no_explanation(killed: Callable[..., Scribe], inherit: Callable[[int], set[str]]) -> None:
    """Most kills meet no write."""
    killed(3, 0)
    assert inherit(4) == set()


@pytest.mark.parametrize("rest", [0, 60])
def test_an_heir_that_is_killed_as_well_leaves_nothing_unexplained(
    path: Path, shared_memory: Path, killed: Callable[..., Scribe], inherit: Callable[[int], set[str]], rest: int
) -> None:
    """However much it had written: what it had to say of the first half line, the next one says in its place."""
    written, records = 0, 1
    while written <= records:
        first = killed(3, 30)
        heir = Heir(path, shared_memory, Scribe(1).open(first).checkpoint())
        heir.inheritance.take_over()
        records = heir.killed(written, rest)
        assert inherit(4) == {"torn-recovered"}
        shutil.rmtree(path.parent)
        written += 1
    assert records == len(["opening", "seal", "torn", "said", "two more", "two more", "said"])


def test_half_a_line_of_an_heir_is_no_damage_however_many_take_over_after_it(
    path: Path, shared_memory: Path, killed: Callable[..., Scribe], inherit: Callable[[int], set[str]]
) -> None:
    """The record had a place before that heir's, and gets another with each one after it; all of them are known."""
    written, records = 0, 1
    while written <= records:
        last = killed(3, 0)
        for number in (1, 2, 3):
            last = Scribe(number).open(last).checkpoint()
            heir = Heir(path, shared_memory, last)
            heir.inheritance.take_over()
            records = heir.killed(2, 60) if number == 1 else heir.killed(written)
        assert inherit(4) == {"torn-recovered"}
        shutil.rmtree(path.parent)
        written += 1
    assert records > len(["opening", "seal", "torn"])


def test_what_heirs_had_to_say_does_not_multiply_with_them(
    path: Path, shared_memory: Path, killed: Callable[..., Scribe], inherit: Callable[[int], set[str]]
) -> None:
    """In a crash loop there are many, each hears all before it, and it must not have twice as much to say."""
    last, counts = killed(3, 120, own=True), []
    for number in range(1, 8):
        last = Scribe(number).open(last).checkpoint()
        heir = Heir(path, shared_memory, last)
        heir.inheritance.take_over()
        counts.append(heir.killed(2))
    assert counts[-1] - counts[-2] <= counts[1] - counts[0]
    assert inherit(3) == {"torn-recovered"}


def test_an_heir_killed_at_any_step_of_taking_over_leaves_nothing_unexplained(
    path: Path, shared_memory: Path, killed: Callable[..., Scribe], inherit: Callable[[int], set[str]]
) -> None:
    """It says what it is about to do, then does it."""

    def run(step: int) -> bool:
        first = killed(3, 30)
        heir = Heir(path, shared_memory, Scribe(1).open(first).checkpoint())
        ended = killed_at_step(step, heir.inheritance.take_over)
        heir.killed()
        assert inherit(4) == {"torn-recovered"}
        shutil.rmtree(path.parent)
        return ended

    assert every_step(run, stride=199) > 199


def test_a_log_that_is_closed_at_once_takes_nothing_over_after_its_end(
    killed: Callable[..., Scribe], inherit: Callable[[int], set[str]], open_log: Open
) -> None:
    """A record after AUDIT_CLOSE would look like tampering; who comes next takes over."""
    killed(3, 30)
    for _ in range(5):
        open_log().close(10)
    assert inherit(4) == {"torn-recovered"}


BURST = """
import os, signal, sys
from riskbus.events import EventPriority, RiskEvent
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings
log = AuditLog(settings=AuditSettings.from_environment(path=sys.argv[1], writer=sys.argv[2]))
for number in range(80_000):
    log.append(RiskEvent("OWN", EventPriority.LOW, "tests", {"number": number}))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("writer", ["thread", "process"])
def test_a_burst_outlives_the_process(path: Path, writer: str) -> None:
    """What comes faster than the writer can follow is in shared memory like all else, as far as the settings allow."""
    command = [sys.executable, "-c", BURST, str(path), writer]
    assert subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == -signal.SIGKILL
    with AuditLog(settings=AuditSettings.from_environment(path=path), registry=CollectorRegistry()) as log:
        assert log.append(RiskEvent("OWN", EventPriority.LOW, "tests", {"number": 80_000})).wait_durable(60)
        # A writer in a process of its own may outlive the other one, and write them itself.
        assert within(60, lambda: len(read_events(path)) > 80_000)
    numbers = [record["data"]["number"] for record in read_events(path)]
    numbers.remove(80_000)  # who publishes now waits for nobody's heritage
    assert numbers == [*range(80_000)]
