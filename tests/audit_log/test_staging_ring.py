"""The staging ring: what was accepted outlives its process, whole, once, and in order."""

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from riskbus import EventPriority, EventType, InvalidEventError, RiskEvent, native
from riskbus.format.record import MAX_BODY_BYTES
from riskbus.runtime.appending import make_append
from riskbus.runtime.feed import take
from riskbus.runtime.progress import Progress
from riskbus.runtime.receipt import Receipt
from riskbus.runtime.staging import CONTROL, Staging
from riskbus.store import ring as layout
from riskbus.store import ring_header as header_layout
from riskbus.store import ring_words as word_layout
from riskbus.store.ring import NEAR, Ring
from riskbus.store.ring_files import create_ring, find_abandoned
from riskbus.store.ring_words import ROOM, Held
from tests.audit_log.rings import SLOTS, STREAM, feed_of, find_rings, make_ring, record_of, staging_on
from tests.audit_log.steps import every_step, killed_at_step

# Python 3.12 and later warn of every fork beside threads, which is what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


def heartbeat(data: dict[str, Any] | None = None) -> RiskEvent:
    """Return an event of no importance."""
    return RiskEvent(EventType.HEARTBEAT, EventPriority.LOW, "test", data)


def appending_on(ring: Ring) -> tuple[Staging, Callable[[RiskEvent], Receipt]]:
    """Return what publishers have in common, and the function that appends."""
    staging = staging_on(ring)
    return staging, make_append(staging, Progress(ring, lambda: None), lambda _seq, _event: None)


def test_what_was_accepted_is_found_after_the_end(shared_memory: Path) -> None:
    """In order, and only by the log it belongs to."""
    ring = make_ring(shared_memory)
    for seq in range(5):
        ring.put(seq, record_of(seq), seq % 4)
    assert find_rings(shared_memory) == []  # it is alive
    ring.give_up()
    assert find_abandoned(shared_memory, (3, 4), "/log") == []  # another directory's
    (found,) = find_rings(shared_memory)
    assert found.incarnation == "a" * 32
    assert found.held() == [Held(seq, record_of(seq), seq % 4) for seq in range(5)]
    assert find_rings(shared_memory) == []  # it has an owner again


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
        found = find_abandoned(shared_memory, before, "/log") or find_rings(shared_memory)
        assert len(found) == 1
        ring.remove()
        found[0].give_up()
        return killed

    assert every_step(run) > 20


@pytest.mark.parametrize("size", [40, NEAR + 100])
def test_a_publisher_killed_at_any_step_leaves_a_whole_record_or_none(shared_memory: Path, size: int) -> None:
    """Every single step of the interpreter through put, also into the annex; earlier records stay as they are."""

    def run(step: int) -> bool:
        ring = make_ring(shared_memory)
        for seq in range(SLOTS):
            ring.put(seq, record_of(seq, size=NEAR + 200), 1)
        ring.release(1)
        killed = killed_at_step(step, lambda: ring.put(SLOTS, record_of(SLOTS, size), 2))
        ring.give_up()
        (found,) = find_rings(shared_memory)
        before = [Held(seq, record_of(seq, size=NEAR + 200), 1) for seq in range(1, SLOTS)]
        assert found.held() in (before, [*before, Held(SLOTS, record_of(SLOTS, size), 2)])
        found.remove()
        found.give_up()
        return killed

    assert every_step(run) > 20


@pytest.mark.parametrize(("size", "stride"), [(40, 5), (ROOM + 100, 29)])  # long ones take thousands of steps
@pytest.mark.parametrize("moves", [{3: 0, 4: 1}, {SLOTS + 3: 0, SLOTS + 4: SLOTS + 1}], ids=["rings", "beside rings"])
def test_an_heir_killed_at_any_step_leaves_the_record_in_exactly_one_ring(
    shared_memory: Path, size: int, stride: int, moves: dict[int, int]
) -> None:
    """Neither lost nor twice, also when the next heir is killed as well."""

    def run(step: int) -> bool:
        old, heir = make_ring(shared_memory, "a" * 32), make_ring(shared_memory, "b" * 32)
        both = [Held(seq, record_of(seq, size + seq), 1) for seq in moves]
        for held in both:
            old.accept(*held)

        def move() -> None:
            for held in both:
                old.hand_on(held, heir, moves[held.seq])

        killed = killed_at_step(step, move)
        old.give_up()
        heir.give_up()
        rings = find_rings(shared_memory)
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
    records = [Held(seq, record_of(seq, ROOM + 100), 1) for seq in range(3)]

    def run(step: int) -> bool:
        ring = make_ring(shared_memory)
        for held in records:
            ring.accept(*held)
        assert ring.take(0, 3) == records
        killed = killed_at_step(step, lambda: ring.release(2))
        ring.give_up()
        (found,) = find_rings(shared_memory)
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
    ring.put(0, record_of(0), 1)
    assert ring.get(0) == Held(0, record_of(0), 1)


def test_what_the_ring_cannot_hold_is_still_handed_over_in_order(shared_memory: Path) -> None:
    """More records than slots, and records longer than a slot."""
    staging = staging_on(make_ring(shared_memory))
    records = [record_of(seq, size=ROOM + seq if seq % 3 == 0 else 50) for seq in range(5 * SLOTS)]
    for record in records:
        staging.put(staging.claim(), record, 2)
    assert [record for _, record, _ in take(feed_of(staging), 0, 100)] == records


def test_what_waits_beside_the_ring_waits_until_it_is_durable(shared_memory: Path) -> None:
    """A writer that dies after it took records leaves them to the next one."""
    staging = staging_on(make_ring(shared_memory))
    for seq in range(2 * SLOTS):
        staging.put(staging.claim(), record_of(seq), 2)
    first = take(feed_of(staging), 0, 100)
    assert take(feed_of(staging), 0, 100) == first
    staging.ring.release(SLOTS + 3)
    assert [seq for seq, _, _ in take(feed_of(staging), SLOTS + 3, 100)] == list(range(SLOTS + 3, 2 * SLOTS))
    staging.ring.release(2 * SLOTS)
    assert staging.leftovers() == []
    assert not staging.full
    assert not staging.ring.overflowing


def test_a_publisher_that_comes_back_after_its_number_was_declared_a_hole_gets_another(shared_memory: Path) -> None:
    """Its record is late, not lost."""
    staging = staging_on(make_ring(shared_memory))
    late = staging.claim()
    staging.put(staging.claim(), record_of(1), 2)
    assert take(feed_of(staging), 0, 100) == []
    staging.put(late, b'{"gap"}', 4)
    staging.declare(late)
    assert [record for _, record, _ in take(feed_of(staging), 0, 100)] == [b'{"gap"}', record_of(1)]
    staging.put(late, record_of(late), 2)
    assert [record for _, record, _ in take(feed_of(staging), 2, 100)] == [record_of(late)]


class SlowToSay:
    """A value that takes so long to become text that others append their events meanwhile."""

    def __init__(self, append: Callable[[RiskEvent], object], others: int) -> None:
        self._append, self._others = append, others

    def __repr__(self) -> str:
        for _ in range(self._others):
            self._append(heartbeat())
        return "at last"


@pytest.mark.parametrize("others", [1, SLOTS, 2 * SLOTS])
def test_an_event_that_takes_long_to_encode_keeps_nobody_waiting(shared_memory: Path, others: int) -> None:
    """What a payload does when it is asked for its text is the program's; the log's numbers must not depend on it."""
    staging, append = appending_on(make_ring(shared_memory))
    receipt = append(heartbeat({"value": SlowToSay(append, others)}))
    assert receipt.seq == others
    records = take(feed_of(staging), 0, 100)
    assert [seq for seq, _, _ in records] == list(range(others + 1))
    assert b"at last" in records[-1][1]


def with_so_much_stack(calls: int, action: Callable[[], object]) -> bool:
    """Run an action where so many calls more are allowed; whether that was enough."""

    def dive(depth: int) -> object:
        return dive(depth - 1) if depth else action()

    try:
        dive(sys.getrecursionlimit() - len(inspect.stack(0)) - calls)
    except RecursionError:
        return False
    return True


@pytest.mark.parametrize("size", [10, NEAR, ROOM, MAX_BODY_BYTES])
@pytest.mark.parametrize("released", [True, False], ids=["with room", "without room"])
def test_no_end_of_the_stack_leaves_a_number_empty(shared_memory: Path, size: int, *, released: bool) -> None:
    """A handler that publishes itself without end comes to one; an empty number keeps all that follows from the volume.

    Each event that got a number is there, and no number is without an event.
    """
    staging, append = appending_on(make_ring(shared_memory))
    following, calls, enough = 0, 1, False
    while not enough:
        event = heartbeat({"text": "x" * size, "odd": {1, 2} if calls % 2 else 0})
        enough = with_so_much_stack(calls, partial(append, event))
        calls += 1
        assert staging.claimed - following == len(take(feed_of(staging), following, 100))
        if released:
            following = staging.claimed
            staging.ring.release(following)
    assert staging.claimed > 0


def test_what_is_thrown_in_while_a_record_is_put_down_loses_nothing(shared_memory: Path) -> None:
    """Ctrl-C ends the program, and its evidence is complete: an event with a number is in the log."""
    staging, patch = staging_on(make_ring(shared_memory)), pytest.MonkeyPatch()

    def interrupt(*_: object) -> None:
        patch.undo()
        raise KeyboardInterrupt

    patch.setattr(staging.ring, "put", interrupt)
    with pytest.raises(KeyboardInterrupt):
        staging.stage(record_of(0), 2)
    assert staging.claimed == 1
    assert take(feed_of(staging), 0, 100) == [(0, record_of(0), 2)]


@pytest.mark.parametrize("thing", [None, "KILL_SWITCH", object()], ids=["nothing", "text", "object"])
def test_what_is_no_event_is_refused_before_it_takes_a_number(shared_memory: Path, thing: Any) -> None:
    """A number that stays empty would keep all that follows from the volume for ten seconds."""
    _, append = appending_on(make_ring(shared_memory))
    with pytest.raises(InvalidEventError, match=r"is not a RiskEvent; make one: RiskEvent\("):
        append(thing)
    assert append(heartbeat()).seq == 0


CHANGES: dict[str, Callable[[RiskEvent], object]] = {
    "no data": lambda event: delattr(event, "data"),
    "no time": lambda event: delattr(event, "timestamp_ns"),
    "no priority": lambda event: delattr(event, "priority"),
    "not a name": lambda event: setattr(event, "event_type", "no name"),
    "a name of the log's": lambda event: setattr(event, "event_type", "AUDIT_OPEN"),
}


class OwnEvent(RiskEvent):
    """An event of a program's own class."""


@pytest.mark.parametrize("kind", [RiskEvent, OwnEvent])
@pytest.mark.parametrize("what", CHANGES)
def test_of_an_event_that_was_changed_until_it_cannot_be_recorded_the_rest_is(
    shared_memory: Path, what: str, kind: type[RiskEvent]
) -> None:
    """It must not be, and yet nothing that was accepted may be lost, or keep others waiting."""
    staging, append = appending_on(make_ring(shared_memory))
    event = kind(EventType.THROTTLE, EventPriority.LOW, "a source to find it by", {"limit": 10})
    CHANGES[what](event)
    with suppress(AttributeError):  # to append a thing without a priority is an error, and it is recorded all the same
        append(event)
    held = staging.ring.get(0)
    assert held is not None
    assert b'"event_type":"SYSTEM_ERROR","priority":"HIGH"' in held.body
    assert b"a source to find it by" in held.body


def test_a_record_of_the_logs_own_is_never_shortened(shared_memory: Path) -> None:
    """After a crash loop, AUDIT_RECOVERED may have more to say than an event may."""
    staging = staging_on(make_ring(shared_memory))
    body = record_of(0, MAX_BODY_BYTES + 1)
    assert take(feed_of(staging), staging.stage(body, CONTROL), 1) == [(0, body, CONTROL)]


def test_putting_a_record_down_again_changes_nothing(shared_memory: Path) -> None:
    """An interrupted append does so, even when the writer has already released the slot to another record."""
    staging = staging_on(make_ring(shared_memory))
    for seq in range(SLOTS):
        staging.put(staging.claim(), record_of(seq), 2)
    staging.put(3, b"{other}", 2)
    assert staging.ring.get(3) == Held(3, record_of(3), 2)
    staging.ring.release(4)
    staging.put(staging.claim(), record_of(SLOTS), 2)
    staging.put(0, record_of(0), 2)
    assert staging.ring.get(SLOTS) == Held(SLOTS, record_of(SLOTS), 2)


def test_the_next_writer_goes_on_at_the_edge_that_belongs_to_what_is_durable(shared_memory: Path) -> None:
    """A kill at any step of a release leaves a count and a tree that fit together."""
    edges = [b"%032d" % size for size in range(4)]

    def run(step: int) -> bool:
        ring = make_ring(shared_memory)
        for size in (1, 2):
            ring.release(size, edges[size])
        killed = killed_at_step(step, lambda: ring.release(3, edges[3]))
        assert ring.edge == edges[ring.released]
        ring.remove()
        ring.give_up()
        return killed

    assert every_step(run) > 20


@pytest.fixture(autouse=True)
def no_ring_left(shared_memory: Path) -> Iterator[None]:
    """Temporary files of long records never stay behind."""
    yield
    assert not list(shared_memory.glob("*.part"))


@pytest.mark.skipif(native.hot is None, reason="riskbus is not compiled here")
def test_the_compiled_form_has_the_same_layout() -> None:
    """One process may run it and the next, which takes over what was accepted, may not."""
    assert native.hot is not None
    words = {name: word.index for name, word in vars(header_layout.Header).items() if hasattr(word, "index")}
    here = vars(layout) | vars(header_layout) | vars(word_layout) | words
    assert len(native.hot.LAYOUT) > 1
    assert {name: here.get(name) for name in native.hot.LAYOUT} == native.hot.LAYOUT
