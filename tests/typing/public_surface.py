"""The public names as a user's program writes them. `make lint` checks this file with mypy; nobody runs it.

`assert_type` holds a type exactly. A line with `type: ignore` must be a mistake: mypy complains of an ignore that it
does not need.
"""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, assert_type

from prometheus_client import CollectorRegistry

from riskbus import (
    AuditLog,
    AuditSettings,
    BusSettings,
    BusStatistics,
    EventPriority,
    EventType,
    LatencyPath,
    LogStatus,
    Receipt,
    RiskEvent,
    RiskEventBus,
    Subscription,
    Unfinished,
    WhenFull,
    evidence,
)
from riskbus.bus import DropReason, LatencyStatistics, SubscriptionStatistics
from riskbus.sensors import (
    Drawdown,
    DrawdownMonitor,
    FeedStaleness,
    FeedStalenessCalculator,
    OrderRate,
    OrderRateThrottle,
)
from riskbus.testing import FakeClock, MemoryAuditLog, RecordingBus, assert_published


class Ours(Enum):
    """Kinds of a user's own."""

    SPREAD_WIDENED = "spread widened"


def events() -> None:
    """What an event is made of."""
    event = RiskEvent(EventType.KILL_SWITCH, EventPriority.CRITICAL, source="Feed", data={"limit": Decimal(5)})
    RiskEvent(Ours.SPREAD_WIDENED, EventPriority.LOW, "Spreads")
    RiskEvent("SPREAD_WIDENED", EventPriority.LOW, "Spreads", {}, {}, "an-id", 1)
    assert_type(event.event_type, str | Enum)
    assert_type(event.priority, EventPriority)
    assert_type(event.data, dict[str, Any])
    assert_type(event.event_id, str)
    assert_type(event.timestamp_ns, int)
    RiskEvent(EventType.KILL_SWITCH, 0, "Feed")  # type: ignore[arg-type]
    RiskEvent(5, EventPriority.LOW, "Feed")  # type: ignore[arg-type]
    RiskEvent(EventType.KILL_SWITCH, EventPriority.LOW)  # type: ignore[call-arg]


def buses(bus: RiskEventBus, event: RiskEvent) -> None:
    """Publish and subscribe."""
    with RiskEventBus(10, True, {EventPriority.CRITICAL: 50}, "log.jsonl") as opened:
        assert_type(opened, RiskEventBus)
    RiskEventBus(max_workers=4, audit_log=AuditLog(), registry=CollectorRegistry())
    assert_type(bus.publish(event), Receipt)
    assert_type(bus.subscribe(EventType.KILL_SWITCH, print, inline=True), Subscription)
    bus.subscribe([EventType.KILL_SWITCH, Ours.SPREAD_WIDENED, "OTHER"], takes_event)
    bus.subscribe(None, awaits_event, loop=asyncio.new_event_loop())
    assert_type(bus.statistics(), BusStatistics)
    assert_type(bus.settings, BusSettings)
    assert_type(bus.reconfigure(latency_slo_us={"HIGH": 5}, actor="a.smith"), BusSettings)
    assert_type(bus.close(), Unfinished)
    assert_type(bus.audit_log, AuditLog)
    bus.publish("KILL_SWITCH")  # type: ignore[arg-type]
    bus.subscribe(EventType.KILL_SWITCH, takes_two)  # type: ignore[arg-type]
    bus.subscribe(5, takes_event)  # type: ignore[arg-type]


def queues_and_objectives(bus: RiskEventBus) -> None:
    """What waits, what is too slow, and what it came to."""
    bus.subscribe(None, takes_event, capacity=5, capacity_bytes=None, when_full=WhenFull.BLOCK, block_seconds=0.5)
    bus.subscribe(None, takes_event, when_full="block")  # type: ignore[arg-type]
    RiskEventBus(latency_slo_us={EventPriority.LOW: {LatencyPath.DURABLE: 9000}}, slow_subscriber_seconds=1)
    RiskEventBus(record_outcomes=[EventPriority.LOW])
    RiskEventBus(latency_slo_us={EventPriority.LOW: {"durable": 9000}})  # type: ignore[dict-item]
    statistics = bus.statistics()
    assert_type(statistics.latencies[LatencyPath.HANDLER, EventPriority.LOW], LatencyStatistics)
    assert_type(statistics.subscriptions, tuple[SubscriptionStatistics, ...])
    assert_type(statistics.subscriptions[0].dropped_by, Mapping[DropReason, int])
    assert_type(bus.close_on_sigterm(grace=20), None)


async def waiting(bus: RiskEventBus, event: RiskEvent) -> None:
    """Wait for handlers and durability."""
    assert_type(await bus.publish_and_wait(event), Receipt)
    assert_type(await bus.publish(event), bool)


def takes_event(event: RiskEvent) -> None:
    """A handler."""


async def awaits_event(event: RiskEvent) -> int:
    """A handler that is async; what it returns does not matter."""
    return event.timestamp_ns


def takes_two(event: RiskEvent, other: int) -> None:
    """No handler."""


async def receipts(log: AuditLog, event: RiskEvent) -> None:
    """Wait for what is durable."""
    receipt = log.append(event)
    assert_type(receipt, Receipt)
    assert_type(receipt.seq, int)
    assert_type(receipt.durable, bool)
    assert_type(receipt.wait_durable(timeout=1.0), bool)
    await receipt
    assert_type(log.status(), LogStatus)
    assert_type(log.close(), tuple[bytes, ...])


def settings() -> None:
    """One model for the log, and one that has the bus as well."""
    assert_type(AuditSettings.from_environment({}), AuditSettings)
    assert_type(BusSettings.from_environment(max_workers=4), BusSettings)
    assert_type(BusSettings().latency_slo_us, Mapping[EventPriority, float | Mapping[LatencyPath, float]])
    AuditLog(settings=BusSettings())


def complete_evidence() -> None:
    """Helpers refuse what an auditor would miss before the program runs."""
    whose = evidence.Responsible(algorithm="jules", desk="eu")
    assert_type(evidence.kill_switch("Feed", whose, rule_triggered="stale", data={"limit": 5}), RiskEvent)
    evidence.Responsible(desk="eu")  # type: ignore[call-arg]
    evidence.kill_switch("Feed", "jules")  # type: ignore[arg-type]
    evidence.re_enable("Console", whose, reason="feed is back")  # type: ignore[call-arg]


def sensors(clock: FakeClock) -> None:
    """Sensors and their verdicts."""
    assert_type(FeedStalenessCalculator(500, clock=clock).assess(), FeedStaleness)
    assert_type(DrawdownMonitor(Decimal(5), clock=clock).assess(7), Drawdown)
    assert_type(OrderRateThrottle(5, clock=clock).admit(), OrderRate)
    DrawdownMonitor(5.0)  # type: ignore[arg-type]
    DrawdownMonitor(5).assess(7.5)  # type: ignore[arg-type]


def tests() -> None:
    """The tools for tests stand in for the real things."""
    log: AuditLog = MemoryAuditLog()
    bus: RiskEventBus = RecordingBus(audit_log=log)
    assert isinstance(bus, RecordingBus)
    assert_type(assert_published(bus, "KILL_SWITCH", limit=5), RiskEvent)
