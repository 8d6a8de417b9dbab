"""Rounds: many turns of the writer without the interpreter, which end before anything unusual happens."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer
from time import monotonic, monotonic_ns
from typing import Any, NamedTuple
from weakref import finalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskbus import AuditLog, RiskEvent
from riskbus.format.merkle import Tree
from riskbus.format.record import leaf_hash, to_line, with_number
from riskbus.native import hot
from riskbus.runtime import rounds as writers_rounds
from riskbus.runtime.staging import CHECKPOINT
from riskbus.settings import AuditSettings
from riskbus.store.ring_files import create_ring
from riskbus.store.ring_header import LISTENING, WAITING
from riskbus.store.ring_words import LONG, ROOM

pytestmark = pytest.mark.skipif(writers_rounds._new is None, reason="not compiled, or no libcrypto")  # noqa: SLF001 -- it is what decides

SLOTS = 256
DAY = b"2026-01-15"
HEAD = b'{"ts":"%bT' % DAY
lengths = st.one_of(st.sampled_from([len(HEAD) + 2, 503, 504, 505, ROOM]), st.integers(len(HEAD) + 2, ROOM))
records = st.lists(st.tuples(lengths, st.integers(0, CHECKPOINT)), min_size=1, max_size=30)


class Done(NamedTuple):
    """What `Rounds.go` returns."""

    next: int
    edge: bytes
    kinds: list[int]
    size: int
    syncs_ns: list[int]
    moments: list[tuple[int, int]]
    turn_ns: int
    busy_ns: int
    full: bool
    error: int
    usual: bool


class Volume:
    """A ring whose writer has come to some number, and a file that takes its records."""

    def __init__(self, first: int = 2, slots: int = SLOTS, descriptor: int = -1) -> None:
        assert hot is not None
        self.first = first
        self.tree = Tree(first, bytes(range(32)) * first.bit_count())
        self.ring = create_ring(None, "a" * 32, "/log", slots)
        self.ring.release(first, self.tree.edge)
        self.file = os.memfd_create("segment")
        finalize(self, os.close, self.file)
        self.descriptor = self.file if descriptor < 0 else descriptor
        self.bell = hot.Bell()
        self.rounds = hot.Rounds(self.ring.memory, slots, self.bell, (), 100_000, 1_000_000)

    def put(self, sizes: list[tuple[int, int]], seq: int | None = None) -> list[bytes]:
        """Put bodies of these lengths and kinds into the ring; return their lines."""
        lines = []
        for number, (size, kind) in enumerate(sizes, self.first if seq is None else seq):
            body = HEAD + b"x" * (size - len(HEAD) - 1) + b"}"
            self.ring.put(number, body, kind)
            record = with_number(number, body)
            lines.append(to_line(record, leaf_hash(record)))
            self.tree.append(leaf_hash(record))
        return lines

    def go(
        self, *, seconds: float = 10, room: int = 1 << 30, seal_at: float = 1e6, day: bytes = DAY, near: int = 0
    ) -> Done:
        """Make rounds until something ends them."""
        until = monotonic_ns() + round(seconds * 1e9)
        seal_ns = round(seal_at * 1e9)
        arguments = self.descriptor, self.first, near, self.ring.edge, day, room, until, seal_ns, 2_000_000, 0, 0, False
        return Done(*self.rounds.go(*arguments))

    def written(self) -> bytes:
        """Return what is in the file."""
        return os.pread(self.file, 1 << 30, 0)


@given(st.sampled_from([2, 9, 99, 250, 999_999]), records)
def test_what_rounds_write_is_what_the_format_says(first: int, sizes: list[tuple[int, int]]) -> None:
    """Lines, tree, and what the ring tells the next writer; someone waits, so the first turn ends them."""
    volume = Volume(first)
    lines = volume.put(sizes)
    volume.ring.awaited = WAITING
    done = volume.go()
    assert volume.written() == b"".join(lines)
    assert done.next == volume.ring.released == first + len(sizes)
    assert done.edge == volume.ring.edge == volume.tree.edge
    assert done.size == len(volume.written())
    assert [done.kinds[kind] for kind in range(CHECKPOINT + 1)] == [
        sum(kind == other for _, other in sizes) for kind in range(CHECKPOINT + 1)
    ]
    assert [seq for seq, _ in done.moments] == [done.next]
    assert len(done.syncs_ns) == 1
    assert done.error == 0
    assert done.usual


def test_more_than_one_turn_takes_goes_on_at_once() -> None:
    """Thousands of the longest records: the lines are written piece by piece."""
    volume = Volume(slots=8192)
    lines = volume.put([(ROOM, 1)] * 5000)
    volume.ring.awaited = LISTENING
    done = volume.go(seconds=0.5)
    assert volume.written() == b"".join(lines)
    assert done.edge == volume.tree.edge
    assert [seq for seq, _ in done.moments] == [2 + 4096, 2 + 5000]


@pytest.mark.parametrize("what", ["long", "another day", "not as the log writes it"])
def test_rounds_end_before_what_is_unusual(what: str) -> None:
    """It is for the writer's own turn, and is not waited for."""
    volume = Volume()
    lines = volume.put([(100, 1)] * 3)
    body = {"another day": HEAD.replace(b"15", b"16") + b'"}', "not as the log writes it": b"{" + b"x" * 60 + b"}"}
    volume.ring.put(5, body.get(what, HEAD + b'"}'), LONG | 1 if what == "long" else 1)
    started = monotonic()
    done = volume.go()
    assert monotonic() - started < 5
    assert (done.next, volume.written(), done.usual) == (5, b"".join(lines), False)


def test_a_number_that_is_not_there_yet_is_waited_for() -> None:
    """And comes in a later turn, before what was put down behind it."""
    volume = Volume()
    line = volume.put([(100, 1)])
    volume.put([(100, 1)], seq=4)
    Timer(0.05, volume.put, [[(100, 1)], 3]).start()
    done = volume.go(seconds=0.5)
    assert done.next == 5
    assert len(done.syncs_ns) == 2
    assert volume.written().startswith(line[0])


ENDS: dict[str, Callable[[Volume], Any]] = {
    "the end of the log": lambda volume: setattr(volume.ring, "stop_ns", 1),
    "records in private memory": lambda volume: setattr(volume.ring, "overflowing", 1),
    "another writer": lambda volume: setattr(volume.rounds, "abandoned", True),
}


@pytest.mark.parametrize("what", ENDS)
def test_nothing_is_written_after(what: str) -> None:
    """The writer's own turn decides what happens then."""
    volume = Volume()
    volume.put([(100, 1)])
    ENDS[what](volume)
    done = volume.go()
    assert done.next == volume.ring.released == 2
    assert volume.written() == b""
    assert not done.usual


@pytest.mark.parametrize(("near", "usual"), [(3, False), (4, True)])
def test_rounds_end_before_a_number_that_may_lie_beside_the_ring(near: int, *, usual: bool) -> None:
    """What they find in the ring they write, and they wait for a number that can come there only."""
    volume = Volume()
    volume.put([(100, 1)])
    volume.ring.spilled = 4096
    done = volume.go(seconds=0.2, near=near)
    assert (done.next, done.usual) == (3, usual)


def test_rounds_take_what_is_there_before_they_end_because_it_is_time() -> None:
    """The writer's own turn then has nothing to take, which would cost a publisher some waits for the interpreter."""
    volume = Volume()
    Timer(0.02, volume.put, [[(100, 1)] * 3]).start()
    done = volume.go(seconds=0.2)
    assert (done.next, done.usual) == (5, True)


def test_rounds_that_should_have_ended_before_they_began_leave_everything_to_the_writer() -> None:
    """What an earlier process left has to be taken over first, or the segment is too old."""
    volume = Volume()
    volume.put([(100, 1)])
    done = volume.go(seconds=-1)
    assert (done.next, volume.written(), done.usual) == (2, b"", False)


def test_a_full_segment_gets_nothing_more() -> None:
    """Each turn looks, so that a segment is at most a turn's lines longer than it may be."""
    volume = Volume()
    volume.put([(100, 1)])
    done = volume.go(room=0)
    assert (done.next, done.usual) == (2, False)
    volume.ring.awaited = WAITING
    done = volume.go(room=1)
    assert done.next == 3
    assert done.size > 1


def test_events_end_the_rounds_when_a_checkpoint_is_due() -> None:
    """Checkpoints alone do not, or each would cause the next."""
    volume = Volume()
    volume.put([(100, CHECKPOINT)])
    started = monotonic()
    assert volume.go(seconds=0.2, seal_at=0).next == 3
    assert monotonic() - started >= 0.2
    started = monotonic()
    volume.first = 3
    volume.put([(100, 1)])
    done = volume.go(seal_at=0)
    assert (done.next, done.usual) == (4, True)
    assert monotonic() - started < 5


def test_after_an_error_nothing_counts() -> None:
    """The records still lie in the ring, for the journal, which begins another segment."""
    full = os.open("/dev/full", os.O_WRONLY)
    volume = Volume(descriptor=full)
    volume.put([(100, 1)])
    done = volume.go()
    os.close(full)
    assert done.error == errno.ENOSPC
    assert (done.next, done.size, done.syncs_ns, done.usual) == (2, 0, [], False)
    assert volume.ring.released == 2


def test_a_failed_sync_counts_as_little_as_a_failed_write() -> None:
    """What was written is not durable; a pipe takes bytes and cannot be synced."""
    reading, writing = os.pipe()
    volume = Volume(descriptor=writing)
    volume.put([(100, 1)])
    done = volume.go()
    os.close(writing)
    os.close(reading)
    assert done.error == errno.EINVAL
    assert (done.next, volume.ring.released) == (2, 2)


def test_whoever_rings_ends_the_wait() -> None:
    """Long before the next turn would be."""
    assert hot is not None
    volume = Volume()
    volume.rounds = hot.Rounds(volume.ring.memory, SLOTS, volume.bell, (), 100_000, 60_000_000_000)
    volume.ring.awaited = WAITING
    Timer(0.05, volume.bell.ring).start()
    started = monotonic()
    volume.go(seconds=60)
    assert monotonic() - started < 30
    volume.bell.ring()  # before the wait
    volume.go(seconds=60)
    assert monotonic() - started < 30


@pytest.mark.parametrize("bad", [{"edge": b""}, {"day": b"2026"}, {"day": b"2026-01-150"}])
def test_what_does_not_fit_together_is_refused(bad: dict[str, Any]) -> None:
    """A mistake of ours must not become lines with a wrong tree."""
    volume = Volume(3)
    given = {"edge": volume.ring.edge, "day": DAY} | bad
    with pytest.raises(ValueError, match="not that of so many records"):
        volume.rounds.go(volume.descriptor, 3, 0, given["edge"], given["day"], 1, 0, 0, 0, 0, 0, False)


@pytest.fixture
def interpreter_that_never_gives_way() -> Iterator[None]:
    """Have a thread that computes keep the interpreter's lock."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("burst", [0, 1000])
def test_records_become_durable_while_the_program_computes(
    tmp_path: Path, event: Callable[..., RiskEvent], request: pytest.FixtureRequest, burst: int
) -> None:
    """A writer that wanted the interpreter for each turn would make publishers wait as often.

    Also where a burst was more than the ring has slots for, as soon as it is durable.
    """
    settings = AuditSettings.from_environment(path=tmp_path / "risk_audit.jsonl", staging_size="64Ki")
    with AuditLog(settings=settings) as log:
        assert log.wait_ready(30)
        for _ in range(burst):
            log.append(event())
        assert log.flush(30)
        request.getfixturevalue("interpreter_that_never_gives_way")
        deadline, in_a_row = monotonic() + 60, 0
        while in_a_row < 3 and monotonic() < deadline:
            receipt, give_up = log.append(event()), monotonic() + 1
            while not receipt.durable and monotonic() < give_up:
                pass
            in_a_row += 1
            if not receipt.durable:  # now and then the writer is at its chores, and needs the lock
                in_a_row = 0
                log.flush(5)
        assert in_a_row == 3
