"""The staging ring: what was accepted outlives its process, whole, once, and in order."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from riskbus.runtime.feed import Bell, LocalFeed, take
from riskbus.runtime.progress import Progress
from riskbus.runtime.staging import Staging
from riskbus.settings import AuditSettings
from riskbus.store.ring import NEAR, ROOM, Held, Ring
from riskbus.store.ring_files import create_ring, find_abandoned
from tests.audit_log.steps import every_step, killed_at_step

# Python 3.12 and later warn of every fork beside threads, which is what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

STREAM = (1, 2)
SLOTS = 8


def _record(seq: int, size: int = 40) -> bytes:
    return b'{"seq":%d,' % seq + b"x" * size + b"}"


def _make(directory: Path, incarnation: str = "a" * 32) -> Ring:
    ring = create_ring(directory, incarnation, "/log", SLOTS)
    assert ring.path is not None
    ring.stream = STREAM
    return ring


def _staging(ring: Ring) -> Staging:
    return Staging(ring, on_full=lambda: pytest.fail("there is room"))


def _feed(staging: Staging) -> LocalFeed:
    bell = Bell()
    return LocalFeed(staging, bell, Progress(staging.ring, bell.ring), AuditSettings)


def _find(directory: Path) -> list[Ring]:
    return find_abandoned(directory, STREAM, "/log")


def test_what_was_accepted_is_found_after_the_end(shared_memory: Path) -> None:
    """In order, and only by the log it belongs to."""
    ring = _make(shared_memory)
    for seq in range(5):
        ring.put(seq, _record(seq), seq % 4)
    assert _find(shared_memory) == []  # it is alive
    ring.give_up()
    assert find_abandoned(shared_memory, (3, 4), "/log") == []  # another directory's
    (found,) = _find(shared_memory)
    assert found.incarnation == "a" * 32
    assert found.held() == [Held(seq, _record(seq), seq % 4) for seq in range(5)]
    assert _find(shared_memory) == []  # it has an owner again


def test_a_ring_whose_writer_never_reached_the_volume_is_found_by_its_path(shared_memory: Path) -> None:
    """The directory's identity was not known yet."""
    ring = create_ring(shared_memory, "a" * 32, "/log", SLOTS)
    ring.give_up()
    assert find_abandoned(shared_memory, STREAM, "/other") == []
    assert len(find_abandoned(shared_memory, STREAM, "/log")) == 1


@pytest.mark.parametrize("before", [(0, 0), (8, 9)])
def test_a_writer_killed_at_any_step_of_reaching_its_volume_leaves_a_ring_that_is_found(
    shared_memory: Path, before: tuple[int, int]
) -> None:
    """By the directory that it had, by the new one, or by the path."""

    def run(step: int) -> bool:
        ring = create_ring(shared_memory, "a" * 32, "/log", SLOTS)
        ring.stream = before
        killed = killed_at_step(step, lambda: setattr(ring, "stream", STREAM))
        ring.give_up()
        found = find_abandoned(shared_memory, before, "/log") or _find(shared_memory)
        assert len(found) == 1
        ring.remove()
        found[0].give_up()
        return killed

    assert every_step(run) > 20


@pytest.mark.parametrize("size", [40, NEAR + 100])
def test_a_publisher_killed_at_any_step_leaves_a_whole_record_or_none(shared_memory: Path, size: int) -> None:
    """Every single step of the interpreter through put, also into the annex; earlier records stay as they are."""

    def run(step: int) -> bool:
        ring = _make(shared_memory)
        for seq in range(SLOTS):
            ring.put(seq, _record(seq, size=NEAR + 200), 1)
        ring.release(1)
        killed = killed_at_step(step, lambda: ring.put(SLOTS, _record(SLOTS, size), 2))
        ring.give_up()
        (found,) = _find(shared_memory)
        before = [Held(seq, _record(seq, size=NEAR + 200), 1) for seq in range(1, SLOTS)]
        assert found.held() in (before, [*before, Held(SLOTS, _record(SLOTS, size), 2)])
        found.remove()
        found.give_up()
        return killed

    assert every_step(run) > 20


@pytest.mark.parametrize(("size", "stride"), [(40, 1), (ROOM + 100, 29)])  # long ones take thousands of steps
def test_an_heir_killed_at_any_step_leaves_the_record_in_exactly_one_ring(
    shared_memory: Path, size: int, stride: int
) -> None:
    """Neither lost nor twice, also when the next heir is killed as well."""

    def run(step: int) -> bool:
        old, heir = _make(shared_memory, "a" * 32), _make(shared_memory, "b" * 32)
        both = [Held(seq, _record(seq, size + seq), 1) for seq in (3, 4)]
        for held in both:
            (old.put_long if size > ROOM else old.put)(*held)

        def move() -> None:
            for seq, held in enumerate(both):
                old.hand_on(held, heir, seq)

        killed = killed_at_step(step, move)
        old.give_up()
        heir.give_up()
        rings = _find(shared_memory)
        for ring in rings:
            ring.forget_moved(rings)
        assert sorted(len(found.body) for ring in rings for found in ring.held()) == [len(held.body) for held in both]
        for ring in rings:
            ring.remove()
            ring.give_up()
        return killed

    assert every_step(run, stride) > 50


def test_a_writer_killed_at_any_step_of_a_release_leaves_what_is_not_durable(shared_memory: Path) -> None:
    """The files of long records go when they are durable; those of the others stay, and can be read."""
    records = [Held(seq, _record(seq, ROOM + 100), 1) for seq in range(3)]

    def run(step: int) -> bool:
        ring = _make(shared_memory)
        for held in records:
            ring.put_long(*held)
        assert ring.take(0, 3) == records
        killed = killed_at_step(step, lambda: ring.release(2))
        ring.give_up()
        (found,) = _find(shared_memory)
        assert found.held() == records[found.released :]
        if not killed:
            assert [path.suffix for path in sorted(shared_memory.iterdir())] == [".ring", ".2"]
        found.remove()
        found.give_up()
        assert not list(shared_memory.iterdir())
        return killed

    assert every_step(run, 7) > 50


def test_a_ring_without_shared_memory_is_private(tmp_path: Path) -> None:
    """No room is no reason not to trade."""
    ring = create_ring(tmp_path / "absent", "a" * 32, "/log", SLOTS)
    assert ring.path is None
    ring.put(0, _record(0), 1)
    assert ring.get(0) == Held(0, _record(0), 1)


def test_what_the_ring_cannot_hold_is_still_handed_over_in_order(shared_memory: Path) -> None:
    """More records than slots, and records longer than a slot."""
    staging = _staging(_make(shared_memory))
    records = [_record(seq, size=ROOM + seq if seq % 3 == 0 else 50) for seq in range(5 * SLOTS)]
    for record in records:
        staging.put(staging.claim(), record, 2)
    assert [record for _, record, _ in take(_feed(staging), 0)] == records


def test_what_waits_beside_the_ring_waits_until_it_is_durable(shared_memory: Path) -> None:
    """A writer that dies after it took records leaves them to the next one."""
    staging = _staging(_make(shared_memory))
    for seq in range(2 * SLOTS):
        staging.put(staging.claim(), _record(seq), 2)
    first = take(_feed(staging), 0)
    assert take(_feed(staging), 0) == first
    staging.ring.release(SLOTS + 3)
    assert [seq for seq, _, _ in take(_feed(staging), SLOTS + 3)] == list(range(SLOTS + 3, 2 * SLOTS))
    staging.ring.release(2 * SLOTS)
    assert staging.leftovers() == []
    assert not staging.full
    assert not staging.ring.overflowing


def test_a_publisher_that_comes_back_after_its_number_was_declared_a_hole_gets_another(shared_memory: Path) -> None:
    """Its record is late, not lost."""
    staging = _staging(_make(shared_memory))
    late = staging.claim()
    staging.put(staging.claim(), _record(1), 2)
    assert take(_feed(staging), 0) == []
    staging.put(late, b'{"gap"}', 4)
    staging.declare(late)
    assert [record for _, record, _ in take(_feed(staging), 0)] == [b'{"gap"}', _record(1)]
    staging.put(late, _record(late), 2)
    assert [record for _, record, _ in take(_feed(staging), 2)] == [_record(late)]


def test_putting_a_record_down_again_changes_nothing(shared_memory: Path) -> None:
    """An interrupted append does so, even when the writer has already released the slot to another record."""
    staging = _staging(_make(shared_memory))
    for seq in range(SLOTS):
        staging.put(staging.claim(), _record(seq), 2)
    staging.put(3, b"{other}", 2)
    assert staging.ring.get(3) == Held(3, _record(3), 2)
    staging.ring.release(4)
    staging.put(staging.claim(), _record(SLOTS), 2)
    staging.put(0, _record(0), 2)
    assert staging.ring.get(SLOTS) == Held(SLOTS, _record(SLOTS), 2)


def test_the_next_writer_goes_on_at_the_edge_that_belongs_to_what_is_durable(shared_memory: Path) -> None:
    """A kill at any step of a release leaves a count and a tree that fit together."""
    edges = [b"%032d" % size for size in range(4)]

    def run(step: int) -> bool:
        ring = _make(shared_memory)
        for size in (1, 2):
            ring.release(size, edges[size])
        killed = killed_at_step(step, lambda: ring.release(3, edges[3]))
        assert ring.edge == edges[ring.released]
        ring.remove()
        ring.give_up()
        return killed

    assert every_step(run) > 20


class Handover(RuleBasedStateMachine):
    """Publishers, a writer and ends of the process in any order, against a list of what was accepted."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = TemporaryDirectory(dir="/dev/shm")
        self._path = Path(self._directory.name)
        self._life = 0
        self._serial = 0
        self._begin()

    def _begin(self) -> None:
        self._staging = _staging(_make(self._path, f"{self._life:032x}"))
        self._feed = _feed(self._staging)
        self._next = 0
        self._claimed: list[int] = []
        self._shared: dict[int, bytes] = {}  # accepted, in shared memory, not durable
        self._private: set[int] = set()  # accepted when the ring was full: lost with the process
        self._taken: list[int] = []
        self._life += 1

    def _body(self, size: int) -> bytes:
        self._serial += 1
        return b"%d" % self._serial + b"." * size

    def teardown(self) -> None:
        """Leave nothing behind."""
        self._directory.cleanup()

    @rule()
    def claim(self) -> None:
        """A publisher begins."""
        self._claimed.append(self._staging.claim())

    @precondition(lambda self: self._claimed)
    @rule(which=st.randoms(use_true_random=False), size=st.sampled_from([0, 300, ROOM - 30, ROOM + 50]))
    def put(self, which: Any, size: int) -> None:
        """Any of those who began puts its record down."""
        seq = self._claimed.pop(which.randrange(len(self._claimed)))
        record = b'{"seq":%d,"%b"}' % (seq, self._body(size))
        full = len(record) <= ROOM and seq - self._staging.ring.released >= SLOTS
        self._staging.put(seq, record, 1)
        self._shared[seq] = record
        if full:
            self._private.add(seq)

    @rule()
    def take(self) -> None:
        """The writer takes what comes next, in order, as it was put down."""
        for seq, record, _ in take(self._feed, self._next):
            assert seq == self._next
            self._next += 1
            assert self._shared[seq] == record
            self._taken.append(seq)

    @precondition(lambda self: self._taken)
    @rule()
    def make_durable(self) -> None:
        """What was taken reaches the volume."""
        self._staging.ring.release(self._taken[-1] + 1)
        self._shared = {seq: record for seq, record in self._shared.items() if seq > self._taken[-1]}

    @rule()
    def die_and_inherit(self) -> None:
        """The process ends without a word; the next one finds everything that was in shared memory."""
        self._staging.ring.give_up()
        expected = [record for seq, record in sorted(self._shared.items()) if seq not in self._private]
        self._begin()
        (ring,) = _find(self._path)
        assert [held.body for held in ring.held()] == expected
        ring.remove()
        ring.give_up()

    @rule()
    def end_the_writer(self) -> None:
        """The next one begins with the first record that is not durable."""
        self._next = self._staging.ring.released
        self._taken = []

    @invariant()
    def nothing_accepted_is_forgotten(self) -> None:
        """Every record that was put down and is not durable can still be taken, or waits for an earlier number."""
        assert {seq for seq, _, _ in self._staging.leftovers()} == set(self._shared)


Handover.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestHandover = Handover.TestCase


@pytest.fixture(autouse=True)
def no_ring_left(shared_memory: Path) -> Iterator[None]:
    """Temporary files of long records never stay behind."""
    yield
    assert not list(shared_memory.glob("*.part"))
