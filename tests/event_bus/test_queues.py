"""What waits for a handler is bounded by count and by bytes, and what has no room is the subscriber's choice."""

import asyncio
import json
import sys
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from riskbus import EventPriority, RiskEvent, RiskEventBus, Subscription
from riskbus.bus import DropReason, SubscriptionStatistics, WhenFull
from riskbus.bus.queueing import size_of
from riskbus.testing import Inbox, read_events

Open = Callable[..., RiskEventBus]
Make = Callable[..., RiskEvent]
Until = Callable[[Callable[[], object]], bool]
CRITICAL, HIGH, NORMAL, LOW = EventPriority


def found(bus: RiskEventBus, subscription: Subscription) -> SubscriptionStatistics:
    """Return the bus' statistics on a subscription."""
    (statistics,) = (each for each in bus.statistics().subscriptions if each.name == subscription.name)
    return statistics


def numbers(inbox: Inbox) -> list[int]:
    """Return the numbers of the events that came."""
    return [event.data["number"] for event in inbox.events]


@pytest.fixture
def stuck(bus: RiskEventBus, make: Make) -> Callable[..., tuple[Inbox, Subscription]]:
    """Subscribe a handler that is held in its first event, number -1."""

    def subscribe(**queue: object) -> tuple[Inbox, Subscription]:
        inbox = Inbox(held=True)
        subscription = bus.subscribe(None, inbox, name="stuck", **queue)  # type: ignore[arg-type]  # values of several kinds
        bus.publish(make(number=-1))
        assert inbox.wait_for(1)
        return inbox, subscription

    return subscribe


Stuck = Callable[..., tuple[Inbox, Subscription]]


def test_drop_newest_keeps_what_waits(bus: RiskEventBus, make: Make, stuck: Stuck) -> None:
    """Who replays decisions needs them without a gap, from the beginning."""
    inbox, subscription = stuck(capacity=3)
    for number in range(10):
        bus.publish(make(number=number))
    assert found(bus, subscription).dropped_by == {DropReason.QUEUE_EVENTS: 7}
    inbox.release()
    assert not bus.close(10)
    assert numbers(inbox) == [-1, 0, 1, 2]


def test_drop_oldest_keeps_the_newest_state(bus: RiskEventBus, make: Make, stuck: Stuck) -> None:
    """A screen that shows exposures wants today's, in order, and can do without the ones before."""
    inbox, subscription = stuck(capacity=3, when_full=WhenFull.DROP_OLDEST)
    for number in range(10):
        bus.publish(make(number=number))
    assert found(bus, subscription).dropped_by == {DropReason.QUEUE_EVENTS: 7}
    inbox.release()
    assert not bus.close(10)
    assert numbers(inbox) == [-1, 7, 8, 9]


@pytest.mark.parametrize("when_full", [WhenFull.DROP_NEWEST, WhenFull.DROP_OLDEST])
def test_bytes_are_bounded_too(bus: RiskEventBus, make: Make, stuck: Stuck, when_full: WhenFull) -> None:
    """Ten thousand small events are nothing, ten thousand order books end the process."""
    big = make(number=0, book="x" * 10_000)
    inbox, subscription = stuck(capacity_bytes=3 * size_of(big), when_full=when_full)
    for number in range(6):
        bus.publish(make(number=number, book="x" * 10_000))
    assert found(bus, subscription).waiting_bytes == 3 * size_of(big)
    assert found(bus, subscription).dropped_by == {DropReason.QUEUE_BYTES: 3}
    inbox.release()
    assert not bus.close(10)
    assert numbers(inbox) == ([-1, 0, 1, 2] if when_full is WhenFull.DROP_NEWEST else [-1, 3, 4, 5])


def test_one_event_that_can_never_fit_pushes_nobody_out(bus: RiskEventBus, make: Make, stuck: Stuck) -> None:
    """Dropping everything for it would not make room either."""
    inbox, subscription = stuck(capacity_bytes=5_000, when_full=WhenFull.DROP_OLDEST)
    bus.publish(make(number=0))
    bus.publish(make(number=1, book="x" * 10_000))
    assert found(bus, subscription).dropped_by == {DropReason.QUEUE_BYTES: 1}
    inbox.release()
    assert not bus.close(10)
    assert numbers(inbox) == [-1, 0]


@pytest.mark.parametrize("value", [Decimal("99.5"), {"XETR"}, {1: 2}, 1 << 70, object(), "\ud800", lambda: 0])
def test_what_json_does_not_know_is_counted_as_it_is_recorded(
    bus: RiskEventBus, make: Make, path: Path, value: object
) -> None:
    """Prices are Decimals: charged as the longest there can be, a thousand of them would fill a queue."""
    event = make(value=value)
    assert bus.publish(event).wait_durable(10)
    (record,) = read_events(path)
    assert abs(size_of(event) - len(json.dumps(record["data"])) - 512) < 300


def test_an_event_that_was_spoilt_is_counted_as_large(make: Make) -> None:
    """An estimate must never cost a delivery."""
    event = make()
    del event.data
    assert size_of(event) == 64 << 10


def test_an_interrupt_while_a_size_is_measured_is_not_swallowed(make: Make) -> None:
    """What comes in while orjson asks how to write a value comes out wrapped, be it Ctrl-C."""

    class Interrupted:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        size_of(make(value=Interrupted()))


def test_bytes_add_up_whatever_threads_do(bus: RiskEventBus, make: Make) -> None:
    """A count that drifts would in the end refuse everything, or nothing."""
    inbox = Inbox()
    subscription = bus.subscribe(None, inbox, capacity=50, when_full=WhenFull.DROP_OLDEST)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        publishers = [
            threading.Thread(target=lambda: [bus.publish(make(number=number)) for number in range(500)])
            for _ in range(4)
        ]
        for thread in publishers:
            thread.start()
        for thread in publishers:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert not bus.close(10)
    statistics = found(bus, subscription)
    assert statistics.waiting_bytes == 0
    assert len(inbox.events) + statistics.dropped == 2_000


def test_block_waits_until_there_is_room(bus: RiskEventBus, make: Make, stuck: Stuck) -> None:
    """A slow database is given a moment before an event passes it by."""
    inbox, subscription = stuck(capacity=2, when_full=WhenFull.BLOCK, block_seconds=30)
    for number in range(2):
        bus.publish(make(number=number))
    publisher = threading.Thread(target=bus.publish, args=(make(number=2),))
    publisher.start()
    assert publisher.is_alive()
    inbox.release()
    publisher.join(20)
    assert not publisher.is_alive()
    assert not bus.close(10)
    assert numbers(inbox) == [-1, 0, 1, 2]
    assert found(bus, subscription).dropped == 0


@pytest.mark.parametrize("seconds", [0.01, Decimal("0.01")])
def test_block_is_bounded(bus: RiskEventBus, make: Make, stuck: Stuck, seconds: float | Decimal) -> None:
    """A handler that hangs costs the publisher what was agreed, and then nothing."""
    inbox, subscription = stuck(capacity=1, when_full=WhenFull.BLOCK, block_seconds=seconds)
    for number in range(3):
        bus.publish(make(number=number))
    assert found(bus, subscription).dropped_by == {DropReason.QUEUE_EVENTS: 2}
    inbox.release()


def test_who_blocks_comes_after_everybody_else(bus: RiskEventBus, make: Make, stuck: Stuck) -> None:
    """One subscriber's patience must not be the others' delay."""
    inbox, _ = stuck(capacity=1, when_full=WhenFull.BLOCK, block_seconds=30)
    bus.publish(make(number=0))
    queued, inline = Inbox(), Inbox()
    bus.subscribe(None, queued)
    bus.subscribe(None, inline, inline=True)
    publisher = threading.Thread(target=bus.publish, args=(make(number=1),))
    publisher.start()
    assert queued.wait_for(1)
    assert inline.wait_for(1)
    assert publisher.is_alive()
    inbox.release()
    publisher.join(20)
    assert not publisher.is_alive()


@pytest.mark.parametrize("where", ["critical", "event loop", "its own handler"])
def test_block_never_waits_where_it_must_not(
    bus: RiskEventBus, make: Make, stuck: Stuck, until: Until, where: str
) -> None:
    """A kill switch never waits, a loop is never blocked, and a handler cannot make room while it waits for itself."""
    if where == "its own handler":
        loop_back = bus.subscribe(
            "HEARTBEAT",
            lambda event: [bus.publish(make(number=number, kind="HEARTBEAT")) for number in range(3 - event.data["n"])],
            name="stuck",
            capacity=1,
            when_full=WhenFull.BLOCK,
            block_seconds=3600,
        )
        bus.publish(make(kind="HEARTBEAT", n=0))
        assert until(lambda: found(bus, loop_back).dropped == 2)
        return
    inbox, subscription = stuck(capacity=1, when_full=WhenFull.BLOCK, block_seconds=3600)

    def publish_two() -> None:
        for number in range(2 + (where == "critical")):  # a critical one is handled beside the one that is held
            bus.publish(make(CRITICAL if where == "critical" else NORMAL, number=number))
            assert where != "critical" or inbox.wait_for(2)

    async def on_the_loop() -> None:  # that it awaits nothing is the point
        publish_two()

    if where == "event loop":
        asyncio.run(on_the_loop())
    else:
        publish_two()
    assert found(bus, subscription).dropped_by == {DropReason.QUEUE_EVENTS: 1}
    inbox.release()


def test_dropped_events_are_counted_by_reason(bus: RiskEventBus, make: Make, stuck: Stuck) -> None:
    """Whether a queue is too short or a pod too short-lived are different tickets."""
    inbox, subscription = stuck(capacity=2)
    for number in range(3):
        bus.publish(make(number=number))
    assert bus.close(0.1)
    assert found(bus, subscription).dropped_by == {DropReason.QUEUE_EVENTS: 1, DropReason.BUS_CLOSED: 2}
    inbox.release()
