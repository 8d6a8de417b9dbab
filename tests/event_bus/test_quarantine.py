"""A slow subscriber is noticed, costs nobody anything more, is told of, and comes back when it has caught up."""

import threading
from collections.abc import Callable
from time import perf_counter_ns

import pytest
from prometheus_client import CollectorRegistry

from riskbus import EventPriority, RiskEvent, RiskEventBus, SettingsError
from riskbus.bus import DropReason
from riskbus.testing import Inbox, read_records

Open = Callable[..., RiskEventBus]
Make = Callable[..., RiskEvent]
Until = Callable[[Callable[[], object]], bool]
CRITICAL, HIGH, NORMAL, LOW = EventPriority


def test_a_hanging_handler_gets_only_critical_until_it_has_caught_up(
    open_bus: Open, make: Make, caplog: pytest.LogCaptureFixture, registry: CollectorRegistry
) -> None:
    """Its queue does not grow for hours, and its kill switch reaches it all the same."""
    bus = open_bus(slow_subscriber_seconds=0.25)
    told, stuck = Inbox(), Inbox(held=True)
    bus.subscribe(["SUBSCRIBER_QUARANTINED", "SUBSCRIBER_RECOVERED"], told, inline=True)
    bus.subscribe("LIMIT_BREACH", stuck, name="stuck")
    bus.publish(make(number=0))
    assert told.wait_for(1)
    assert registry.get_sample_value("riskbus_quarantined", {"subscription": "stuck"}) == 1
    for priority in (CRITICAL, HIGH, NORMAL, LOW):
        bus.publish(make(priority, number=1))
    assert stuck.wait_for(2)
    stuck.release()
    assert told.wait_for(2)
    assert registry.get_sample_value("riskbus_quarantined", {"subscription": "stuck"}) == 0
    bus.publish(make(number=2))
    assert stuck.wait_for(3)
    assert [(event.priority, event.data["number"]) for event in stuck.events] == [
        (NORMAL, 0),
        (CRITICAL, 1),
        (NORMAL, 2),
    ]
    assert [event.event_type for event in told.events] == ["SUBSCRIBER_QUARANTINED", "SUBSCRIBER_RECOVERED"]
    assert [event.data["subscription"] for event in told.events] == ["stuck", "stuck"]
    assert told.events[1].data["missed"] == 3
    (statistics,) = [each for each in bus.statistics().subscriptions if each.name == "stuck"]
    assert (statistics.dropped_by, statistics.quarantines) == ({DropReason.QUARANTINED: 3}, 1)
    assert registry.get_sample_value("riskbus_quarantines_total", {"subscription": "stuck"}) == 1
    assert "Handler stuck is in quarantine" in caplog.text
    assert "Handler stuck has caught up" in caplog.text
    assert not bus.close(10)


def test_a_handler_is_slow_from_its_own_beginning_on(bus: RiskEventBus, make: Make) -> None:
    """Whoever has just begun, or waited for long before, is not slow."""
    held = Inbox(held=True)
    subscription = bus.subscribe(None, held)
    before_ns = perf_counter_ns()
    bus.publish(make(NORMAL))
    assert held.wait_for(1)
    now_ns = perf_counter_ns()
    assert 0 < subscription.mailboxes[NORMAL].delay_ns(now_ns) < now_ns - before_ns
    held.release()


def test_others_never_notice(open_bus: Open, make: Make, until: Until) -> None:
    """Who is quick gets everything, also while somebody else is in quarantine."""
    bus = open_bus(slow_subscriber_seconds=0.25)
    stuck, quick = Inbox(held=True), Inbox()
    subscription = bus.subscribe("LIMIT_BREACH", stuck)
    bus.subscribe("LIMIT_BREACH", quick)
    bus.publish(make())
    assert until(lambda: subscription.quarantined)
    for _ in range(50):
        bus.publish(make())
    assert quick.wait_for(51)
    stuck.release()


def test_the_quarantine_is_in_the_audit_log(open_bus: Open, make: Make) -> None:
    """That a component got no events for a while explains what it did next."""
    bus = open_bus(slow_subscriber_seconds=0.25)
    stuck, told = Inbox(held=True), Inbox()
    bus.subscribe("LIMIT_BREACH", stuck, name="stuck")
    bus.subscribe(["SUBSCRIBER_QUARANTINED", "SUBSCRIBER_RECOVERED"], told, inline=True)
    bus.publish(make())
    assert told.wait_for(1)
    stuck.release()
    assert told.wait_for(2)
    assert not bus.close(10)
    kinds = [record["event_type"] for record in read_records(bus.audit_log.settings.path)]
    assert [kind for kind in kinds if not kind.startswith("AUDIT_")] == [
        "LIMIT_BREACH",
        "SUBSCRIBER_QUARANTINED",
        "SUBSCRIBER_RECOVERED",
    ]


def test_a_slow_inline_handler_gets_only_critical_for_a_while(open_bus: Open, make: Make) -> None:
    """It holds up the publisher itself. Nothing can interrupt it, but it need not happen with every event."""
    bus = open_bus(slow_subscriber_seconds=0.001)
    seen: list[EventPriority] = []
    pause = threading.Event()

    def slow(event: RiskEvent) -> None:
        seen.append(event.priority)
        pause.wait(0.01)

    subscription = bus.subscribe("LIMIT_BREACH", slow, name="slow", inline=True)
    for priority in (LOW, NORMAL, HIGH, CRITICAL):
        bus.publish(make(priority))
    assert seen == [LOW, CRITICAL]
    assert subscription.quarantined
    (statistics,) = bus.statistics().subscriptions
    assert statistics.dropped_by == {DropReason.QUARANTINED: 2}


def test_a_handler_that_hangs_in_the_notice_stops_nobody(open_bus: Open, make: Make) -> None:
    """The bus' own events reach inline handlers too, and these may be the ones that hang."""
    bus = open_bus(slow_subscriber_seconds=0.25, max_workers=4)
    hung, stuck, other = Inbox(held=True), Inbox(held=True), Inbox()
    bus.subscribe("SUBSCRIBER_QUARANTINED", hung, inline=True)
    for _ in range(2):
        bus.subscribe("LIMIT_BREACH", stuck)
    bus.subscribe("HEARTBEAT", other)
    bus.publish(make())
    assert hung.wait_for(1)
    bus.publish(make(kind="HEARTBEAT"))
    assert other.wait_for(1)
    hung.release()
    stuck.release()


def test_a_limit_that_is_none_is_refused(open_bus: Open) -> None:
    """Everybody would be in quarantine."""
    with pytest.raises(SettingsError, match="slow_subscriber_seconds"):
        open_bus(slow_subscriber_seconds=0)
