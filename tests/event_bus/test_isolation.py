"""A handler that misbehaves harms nobody else, and what it did is counted and said."""

import logging
import os
import sys
import threading
from collections.abc import Callable

import pytest

from riskbus import EventPriority, EventType, RiskEvent, RiskEventBus, Subscription
from riskbus.bus import SubscriptionStatistics
from riskbus.testing import Inbox, read_events

Open = Callable[..., RiskEventBus]
Make = Callable[..., RiskEvent]
Until = Callable[[Callable[[], object]], bool]


def found(bus: RiskEventBus, subscription: Subscription) -> SubscriptionStatistics:
    """Return the bus' statistics on a subscription."""
    (statistics,) = (each for each in bus.statistics().subscriptions if each.name == subscription.name)
    return statistics


@pytest.mark.parametrize("inline", [True, False])
def test_a_handler_that_raises_is_counted_and_the_others_go_on(
    bus: RiskEventBus, make: Make, until: Until, caplog: pytest.LogCaptureFixture, *, inline: bool
) -> None:
    """One team's bug must not cost another team its kill switch."""

    def broken(_event: RiskEvent) -> None:
        raise LookupError("no such account")

    inbox = Inbox()
    subscription = bus.subscribe(None, broken, name="broken", inline=inline)
    bus.subscribe(None, inbox, inline=inline)
    for _ in range(3):
        bus.publish(make())
    assert inbox.wait_for(3)
    assert until(lambda: found(bus, subscription).failed == 3)
    (line,) = [record for record in caplog.records if "broken" in record.getMessage()]
    assert line.exc_info is not None
    assert "no such account" in str(line.exc_info[1])


def test_a_handler_that_exits_does_not_end_its_worker(bus: RiskEventBus, make: Make, until: Until) -> None:
    """sys.exit() in a thread ends the thread without a word; here it is a failure like any other."""
    inbox = Inbox()
    subscription = bus.subscribe(None, lambda _: sys.exit(1), name="quitter")
    for priority in EventPriority:
        bus.publish(make(priority))
    assert until(lambda: found(bus, subscription).failed == 4)
    bus.subscribe(None, inbox)
    for priority in EventPriority:
        bus.publish(make(priority))
    assert inbox.wait_for(4)


def test_an_interrupt_in_an_inline_handler_reaches_the_publisher(bus: RiskEventBus, make: Make) -> None:
    """Ctrl-C belongs to the program, wherever it happens to be."""

    def interrupted(_event: RiskEvent) -> None:
        raise KeyboardInterrupt

    bus.subscribe(None, interrupted, inline=True)
    with pytest.raises(KeyboardInterrupt):
        bus.publish(make())


def test_a_handler_that_hangs_holds_up_nobody_else(bus: RiskEventBus, make: Make) -> None:
    """A call to a dead service must not stop the risk desk's screen."""
    stuck, others = Inbox(held=True), [Inbox() for _ in range(3)]
    bus.subscribe(None, stuck)
    for inbox in others:
        bus.subscribe(None, inbox)
    for _ in range(10):
        bus.publish(make())
    assert all(inbox.wait_for(10) for inbox in others)
    assert len(stuck.events) == 1
    stuck.release()
    assert stuck.wait_for(10)


def test_a_full_queue_drops_and_counts_and_the_log_has_everything(
    bus: RiskEventBus, make: Make, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    """Memory stays bounded whatever a handler does, and what it missed is in the evidence all the same."""
    stuck = Inbox(held=True)
    subscription = bus.subscribe(None, stuck, name="stuck", capacity=5)
    bus.publish(make(number=-1))
    assert stuck.wait_for(1)
    with caplog.at_level(logging.ERROR):
        receipts = [bus.publish(make(number=number)) for number in range(20)]
    assert (found(bus, subscription).waiting, found(bus, subscription).dropped) == (5, 15)
    assert len([record for record in caplog.records if "stuck" in record.getMessage()]) == 1
    stuck.release()
    assert stuck.wait_for(6)
    assert until(lambda: found(bus, subscription).waiting == 0)
    assert receipts[-1].wait_durable(10)
    assert len(read_events(bus.audit_log.settings.path)) == 21


def test_a_full_lane_leaves_the_other_priorities_their_room(bus: RiskEventBus, make: Make) -> None:
    """A flood of LOW must not use up the room of the kill switch."""
    held = Inbox(held=True)
    bus.subscribe(None, held, capacity=2)
    for _ in range(10):
        bus.publish(make(EventPriority.LOW))
    bus.publish(make(EventPriority.CRITICAL))
    held.release()
    assert not bus.close(10)
    assert [event.priority for event in held.events].count(EventPriority.CRITICAL) == 1


@pytest.mark.parametrize("inline", [True, False])
def test_a_handler_may_publish(bus: RiskEventBus, make: Make, *, inline: bool) -> None:
    """A limit breach becomes a throttle, the throttle an order reject: consequences are events too."""
    next_kind = {"LIMIT_BREACH": "THROTTLE", "THROTTLE": "ORDER_REJECTED"}
    inbox = Inbox()

    def consequence(event: RiskEvent) -> None:
        if kind := next_kind.get(str(event.event_type)):
            bus.publish(make(event.priority, kind))

    bus.subscribe(None, consequence, inline=inline)
    bus.subscribe("ORDER_REJECTED", inbox)
    bus.publish(make(EventPriority.CRITICAL))
    assert inbox.wait_for(1)


def test_a_handler_that_publishes_without_end_harms_nobody_else(bus: RiskEventBus, make: Make) -> None:
    """The interpreter ends the recursion; every other handler gets its events, and the log has all without a gap."""
    inbox = Inbox()
    published: list[RiskEvent] = []

    def again(_event: RiskEvent) -> None:
        published.append(make(number=len(published)))
        bus.publish(published[-1])

    recursive = bus.subscribe("LIMIT_BREACH", again, inline=True, name="again")
    bus.subscribe("LIMIT_BREACH", inbox)
    bus.publish(make(number=-1))
    assert found(bus, recursive).failed > 0
    bus.unsubscribe(recursive)
    bus.publish(make(number=-2))
    assert not bus.close(10)
    recorded = [record["data"]["number"] for record in read_events(bus.audit_log.settings.path)]
    assert recorded == [-1, *range(len(recorded) - 2), -2]
    assert [event.data["number"] for event in inbox.events][:: len(inbox.events) - 1] == [-1, -2]
    assert len(published) >= len(recorded) - 2 > 50


@pytest.mark.parametrize("inline", [True, False])
def test_a_handler_may_subscribe_and_unsubscribe(bus: RiskEventBus, make: Make, *, inline: bool) -> None:
    """A handler that has done its work takes itself out, and brings in the next."""
    first, second = Inbox(), Inbox()
    brought_in = threading.Event()

    def change(event: RiskEvent) -> None:
        first(event)
        bus.unsubscribe(subscription)
        bus.subscribe(None, second, inline=inline)
        brought_in.set()

    subscription = bus.subscribe(None, change, inline=inline)
    bus.publish(make(number=1))
    assert brought_in.wait(10)
    bus.publish(make(number=2))
    assert not bus.close(10)
    assert [event.data["number"] for event in first.events] == [1]
    assert [event.data["number"] for event in second.events] == [2]


# Python 3.12 and later warn of every fork beside threads, which is what this test is about.
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("inline", [True, False])
def test_a_handler_may_fork(bus: RiskEventBus, make: Make, *, inline: bool) -> None:
    """To run something else is a common reaction. The child has a bus of its own, the parent's goes on undisturbed."""
    inbox, ended = Inbox(), Inbox()

    def fork(event: RiskEvent) -> None:
        child = os.fork()
        if child == 0:
            try:
                receipt = bus.publish(make(EventPriority.CRITICAL, "OF_THE_CHILD", number=event.data["number"]))
                os._exit(0 if receipt.wait_durable(30) and not bus.close(10) else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
        ended(event)

    forks = bus.subscribe("LIMIT_BREACH", fork, inline=inline, name="forks")
    bus.subscribe("LIMIT_BREACH", inbox)
    for number in range(3):
        bus.publish(make(number=number))
    assert ended.wait_for(3, timeout=60), found(bus, forks)
    assert not bus.close(30)
    assert [event.data["number"] for event in ended.events] == [0, 1, 2]
    assert [event.data["number"] for event in inbox.events] == [0, 1, 2]
    recorded = [(record["event_type"], record["data"]["number"]) for record in read_events(bus.audit_log.settings.path)]
    assert sorted(recorded) == [(kind, number) for kind in ("LIMIT_BREACH", "OF_THE_CHILD") for number in range(3)]


def test_what_waits_for_an_unsubscribed_handler_is_dropped_and_counted(
    bus: RiskEventBus, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """After unsubscribe returns, the handler's owner may take its resources away."""
    held = Inbox(held=True)
    subscription = bus.subscribe(None, held, name="leaver")
    for _ in range(4):
        bus.publish(make())
    assert held.wait_for(1)
    bus.unsubscribe(subscription)
    held.release()
    assert not bus.close(10)
    assert len(held.events) == 1
    assert "3 events were not delivered to handler leaver: unsubscribed" in caplog.text


def test_subscribing_while_others_publish_loses_nothing(bus: RiskEventBus, make: Make) -> None:
    """Components start at different times; those already there must not miss an event because another one comes."""
    steady = Inbox()
    bus.subscribe(None, steady)
    started, over = threading.Barrier(3), threading.Event()

    def come_and_go() -> None:
        started.wait()
        while not over.is_set():
            bus.unsubscribe(bus.subscribe(EventType.LIMIT_BREACH, lambda _: None, inline=True))

    def publish() -> None:
        started.wait()
        for number in range(500):
            bus.publish(make(number=number))

    publishers = [threading.Thread(target=publish) for _ in range(2)]
    changer = threading.Thread(target=come_and_go)
    for thread in (*publishers, changer):
        thread.start()
    for thread in publishers:
        thread.join()
    over.set()
    changer.join()
    assert not bus.close(10)
    assert len(steady.events) == 1000
