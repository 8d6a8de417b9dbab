"""What has no slot in the ring waits in shared memory all the same: it outlives its process, and goes when durable."""

from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread

import pytest

from riskbus import AuditLog, EventPriority, EventType, RiskEvent
from riskbus.runtime.feed import take
from riskbus.runtime.staging import Staging
from riskbus.store.ring import FOOTPRINT, Ring
from riskbus.store.ring_words import ROOM, Held
from tests.audit_log.rings import SLOTS, feed_of, find_rings, make_ring, record_of, staging_on
from tests.audit_log.steps import every_step, interrupted_at_step, killed_at_step
from tests.waiting import within

AREA = 4096  # numbers that have room in one file

# Python 3.12 and later warn of every fork beside threads, which is what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


def areas_of(ring: Ring) -> list[Path]:
    """Return the files beside a ring for what has no slot in it."""
    assert ring.path is not None
    return sorted(ring.path.parent.glob(f"{ring.path.name}.area*"))


@pytest.mark.parametrize("size", [40, ROOM, ROOM + 100])
def test_what_has_no_slot_in_the_ring_is_found_after_the_end(shared_memory: Path, size: int) -> None:
    """In order, behind what has one, and in every area."""
    ring = make_ring(shared_memory)
    numbers = [0, SLOTS - 1, SLOTS, AREA - 1, AREA, 3 * AREA + 7]
    for seq in numbers:
        ring.accept(seq, record_of(seq, size), 2)
    assert len(areas_of(ring)) == 3
    ring.give_up()
    (found,) = find_rings(shared_memory)
    assert found.held() == [Held(seq, record_of(seq, size), 2) for seq in numbers]
    found.remove()
    assert not list(shared_memory.iterdir())


@pytest.mark.parametrize(("size", "stride"), [(40, 1), (ROOM + 100, 7)])
@pytest.mark.parametrize("earlier", [True, False], ids=["room there", "first to come"])
def test_a_publisher_killed_at_any_step_leaves_a_whole_record_or_none(
    shared_memory: Path, size: int, stride: int, *, earlier: bool
) -> None:
    """Also where it has to make the room."""

    def run(step: int) -> bool:
        ring = make_ring(shared_memory)
        for seq in range(SLOTS + earlier):
            ring.accept(seq, record_of(seq), 1)
        killed = killed_at_step(step, lambda: ring.accept(SLOTS + 1, record_of(SLOTS + 1, size), 2))
        ring.give_up()
        (found,) = find_rings(shared_memory)
        before = [Held(seq, record_of(seq), 1) for seq in range(SLOTS + earlier)]
        whole = [*before, Held(SLOTS + 1, record_of(SLOTS + 1, size), 2)]
        assert found.held() == whole if not killed else found.held() in (before, whole)
        found.remove()
        found.give_up()
        assert not list(shared_memory.iterdir())
        return killed

    assert every_step(run, stride) > 20


def test_what_is_durable_takes_no_memory(shared_memory: Path) -> None:
    """A burst must not keep its memory from the others for good."""
    ring = make_ring(shared_memory)
    for seq in range(0, 3 * AREA, 100):
        ring.accept(seq, record_of(seq), 1)
    ring.release(AREA - 1)
    assert len(areas_of(ring)) == 3
    ring.release(2 * AREA)
    (left,) = areas_of(ring)
    assert ring.held() == [Held(seq, record_of(seq), 1) for seq in range(0, 3 * AREA, 100) if seq >= 2 * AREA]
    ring.release(3 * AREA)
    assert not left.exists()


def test_threads_that_need_room_at_the_same_time_lose_nothing(shared_memory: Path) -> None:
    """Each of them finds that there is none, and makes it."""
    staging = staging_on(make_ring(shared_memory))
    barrier = Barrier(8)

    def publish() -> None:
        barrier.wait(30)
        for _ in range(AREA):
            seq = staging.claim()
            staging.put(seq, record_of(seq), 2)

    threads = [Thread(target=publish) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [body for _, body, _ in take(feed_of(staging), 0, 9 * AREA)] == [record_of(seq) for seq in range(8 * AREA)]
    staging.ring.give_up()
    (found,) = find_rings(shared_memory)
    assert [held.seq for held in found.held()] == list(range(8 * AREA))


@pytest.mark.parametrize("first", [True, False])
def test_what_is_thrown_in_at_any_step_loses_nothing_that_has_a_number(shared_memory: Path, *, first: bool) -> None:
    """Also while room is made. Only right after a number was claimed nobody knows of it yet: such a one is a hole."""

    def run(step: int) -> bool:
        staging = staging_on(make_ring(shared_memory))
        for _ in range(SLOTS if first else SLOTS + 1):
            staging.stage(record_of(0), 2)
        place = interrupted_at_step(step, lambda: staging.stage(record_of(1), 2))
        assert staging.claimed == len(take(feed_of(staging), 0, 100)) or place == "stage"
        staging.ring.remove()
        staging.ring.give_up()
        return bool(place)

    assert every_step(run) > 50


@pytest.mark.parametrize("overflow", [0, 100 * FOOTPRINT])
def test_what_may_wait_beside_the_ring_is_a_setting(shared_memory: Path, overflow: int) -> None:
    """Of shared memory first, and then as many bytes of private memory."""
    refused: list[int] = []
    staging = Staging(make_ring(shared_memory), on_full=lambda: refused.append(staging.claimed), overflow=overflow)
    while not refused:
        seq = staging.claim()
        staging.put(seq, record_of(seq, ROOM - 100), 2)
    shared = SLOTS + overflow // FOOTPRINT
    assert staging.ring.get(shared - 1) is not None
    assert staging.ring.get(shared) is None
    assert shared + 1 <= refused[0] <= shared + 1 + overflow // len(record_of(0, ROOM - 100))
    assert staging.full
    assert len(staging.leftovers()) == staging.claimed  # what was put down stays, also what came last
    staging.ring.release(staging.claimed)
    assert not staging.full


def test_a_burst_leaves_no_memory_behind_when_it_is_durable(
    open_log: Callable[..., AuditLog], shared_memory: Path, events: Callable[[], list[object]]
) -> None:
    """In both processes: as long as one of them has it mapped, it is taken. Only room for numbers to come may stay."""
    log = open_log(staging_size="64Ki")
    for number in range(3 * AREA):
        log.append(RiskEvent(EventType.HEARTBEAT, EventPriority.LOW, "test", {"number": number}))
    assert log.flush(60)

    def taken() -> list[str]:
        return [line for line in Path("/proc/self/maps").read_text().splitlines() if f"{shared_memory}/" in line]

    most = {".ring", ".area3"}  # a moment after the last receipts are settled
    assert within(20, lambda: {path.suffix for path in shared_memory.iterdir()} <= most)
    assert within(20, lambda: len(taken()) <= len(most))
    assert len(events()) == 3 * AREA
