"""CRITICAL never waits behind anything else, order is kept within a priority, and nothing starves."""

import threading
from collections.abc import Callable

from riskbus import EventPriority, EventType, RiskEvent, RiskEventBus
from riskbus.testing import Inbox

Open = Callable[..., RiskEventBus]
Make = Callable[..., RiskEvent]
CRITICAL, HIGH, NORMAL, LOW = EventPriority


def test_critical_passes_a_handler_that_hangs_in_a_low_event(bus: RiskEventBus, make: Make) -> None:
    """The kill switch must get through while reporting is stuck."""
    stuck, reached = Inbox(held=True), Inbox()
    bus.subscribe("HEARTBEAT", stuck)
    bus.subscribe(EventType.KILL_SWITCH, reached)
    bus.publish(make(LOW, "HEARTBEAT"))
    assert stuck.wait_for(1)
    bus.publish(make(CRITICAL, EventType.KILL_SWITCH))
    assert reached.wait_for(1)
    stuck.release()


def test_critical_passes_the_same_handlers_own_low_event(bus: RiskEventBus, make: Make) -> None:
    """One handler for everything is the common case; its slow path must not hold its urgent one."""
    held = Inbox(held=True)
    bus.subscribe(None, held)
    bus.publish(make(LOW))
    assert held.wait_for(1)
    bus.publish(make(CRITICAL))
    assert held.wait_for(2)
    held.release()


def test_critical_of_one_subscriber_passes_a_critical_handler_that_hangs(bus: RiskEventBus, make: Make) -> None:
    """The reserved worker can be stuck itself; another one takes over."""
    stuck, reached = [Inbox(held=True) for _ in range(3)], Inbox()
    for inbox in (*stuck, reached):
        bus.subscribe(EventType.KILL_SWITCH, inbox)
    bus.publish(make(CRITICAL, EventType.KILL_SWITCH))
    assert reached.wait_for(1)
    for inbox in stuck:
        inbox.release()


def test_critical_has_a_worker_of_its_own(bus: RiskEventBus, make: Make) -> None:
    """Nothing else ever runs there, so it is idle when it is needed."""
    everything = Inbox()
    bus.subscribe(None, everything)
    for rounds in range(1, 21):
        for priority in (HIGH, NORMAL, LOW):
            bus.publish(make(priority))
        assert everything.wait_for(4 * rounds - 1)
        bus.publish(make(CRITICAL))
        assert everything.wait_for(4 * rounds)
    others = {name for name, event in zip(everything.threads, everything.events, strict=True) if event.priority}
    assert "riskbus-critical" not in others
    assert "riskbus-critical" in everything.threads


def test_an_inline_handler_runs_on_the_publishers_thread_before_publish_returns(bus: RiskEventBus, make: Make) -> None:
    """Waking another thread costs more than a kill switch may."""
    inbox = Inbox()
    bus.subscribe(None, inbox, inline=True)
    bus.publish(make(CRITICAL))
    assert inbox.threads == [threading.current_thread().name]


def test_what_waits_is_served_most_urgent_first(open_bus: Open, make: Make) -> None:
    """After a hold-up the worker catches up with what matters most."""
    bus = open_bus(max_workers=2)
    gate, order = Inbox(held=True), Inbox()
    bus.subscribe("HEARTBEAT", gate)
    bus.publish(make(HIGH, "HEARTBEAT"))
    assert gate.wait_for(1)
    bus.subscribe(None, order)
    for priority in (LOW, NORMAL, HIGH):
        bus.publish(make(priority))
    gate.release()
    assert order.wait_for(3)
    assert [event.priority for event in order.events] == [HIGH, NORMAL, LOW]


def test_what_is_more_urgent_passes_a_backlog_after_the_event_in_hand(open_bus: Open, make: Make) -> None:
    """A backlog of reports must not keep a limit breach waiting for its end, only for the report in hand."""
    bus = open_bus(max_workers=2)
    gate, order = Inbox(held=True), Inbox()

    def report(event: RiskEvent) -> None:
        gate(event)
        order(event)
        if event.data["number"] == 0:
            bus.publish(make(HIGH, EventType.LIMIT_BREACH))

    bus.subscribe("HEARTBEAT", report)
    bus.subscribe(EventType.LIMIT_BREACH, order)
    for number in range(5):
        bus.publish(make(LOW, "HEARTBEAT", number=number))
    assert gate.wait_for(1)
    gate.release()
    assert order.wait_for(6)
    assert [event.priority for event in order.events] == [LOW, HIGH, LOW, LOW, LOW, LOW]


def test_order_within_a_priority_is_the_order_of_publishing(bus: RiskEventBus, make: Make) -> None:
    """A limit raised and lowered again must not be seen the other way round."""
    inboxes = [Inbox() for _ in range(5)]
    for inbox in inboxes:
        bus.subscribe(None, inbox)
    for number in range(2_000):
        bus.publish(make(EventPriority(number % 4), number=number))
    assert not bus.close(20)
    for inbox in inboxes:
        for priority in EventPriority:
            numbers = [event.data["number"] for event in inbox.events if event.priority is priority]
            assert numbers == list(range(priority, 2_000, 4))


def test_low_goes_on_under_a_storm_of_high(open_bus: Open, make: Make) -> None:
    """Heartbeats that stop under load look like a dead process. Each handled HIGH event brings the next one."""
    bus = open_bus(max_workers=2)
    low = Inbox()
    over = threading.Event()

    def storm(_event: RiskEvent) -> None:
        if not over.is_set():
            bus.publish(make(HIGH, EventType.LIMIT_BREACH))

    bus.subscribe(EventType.LIMIT_BREACH, storm)
    bus.subscribe("HEARTBEAT", low)
    bus.publish(make(HIGH, EventType.LIMIT_BREACH))
    bus.publish(make(LOW, "HEARTBEAT"))
    assert low.wait_for(1)
    over.set()


def test_low_goes_on_under_a_storm_of_critical(open_bus: Open, make: Make) -> None:
    """The same under the worst of days."""
    bus = open_bus(max_workers=2)
    low = Inbox()
    over = threading.Event()

    def subscribe_storm(kind: str) -> None:
        def storm(_event: RiskEvent) -> None:
            if not over.is_set():
                bus.publish(make(CRITICAL, kind))

        bus.subscribe(kind, storm)

    for kind in ("A", "B", "C", "D"):
        subscribe_storm(kind)
        bus.publish(make(CRITICAL, kind))
    bus.subscribe("HEARTBEAT", low)
    bus.publish(make(LOW, "HEARTBEAT"))
    try:
        assert low.wait_for(1)
    finally:
        over.set()


def test_max_workers_bounds_the_threads_that_run_handlers(open_bus: Open, make: Make) -> None:
    """Twelve handlers that hang get no more threads than were granted, and the rest is served when one returns."""
    bus = open_bus(max_workers=4)
    held = Inbox(held=True)
    for _ in range(12):
        bus.subscribe(None, held)
    bus.publish(make(NORMAL))
    assert held.wait_for(3)
    assert not held.wait_for(4, timeout=0.3)
    held.release()
    assert held.wait_for(12)
    assert len(set(held.threads)) <= 3
