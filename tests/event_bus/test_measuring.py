"""What the bus says about itself, in statistics and to Prometheus."""

import pathlib
import sys
import threading
from collections.abc import Callable
from time import perf_counter_ns

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from riskbus import EventPriority, RiskEvent, RiskEventBus
from riskbus.bus import BusStatistics, DropReason, LatencyPath
from riskbus.bus.objectives import objectives_ns
from riskbus.bus.statistics import LatencyStatistics
from riskbus.bus.tally import BUCKET_BOUNDS_NS, Histograms, Latency, Tallies
from riskbus.testing import Inbox

Open = Callable[..., RiskEventBus]
Make = Callable[..., RiskEvent]
CRITICAL, HIGH, NORMAL, LOW = EventPriority


def test_every_event_and_every_delivery_is_counted_by_priority(bus: RiskEventBus, make: Make) -> None:
    """Figures that do not add up are worth nothing to an auditor."""
    bus.subscribe(None, Inbox())
    bus.subscribe(None, Inbox(), inline=True)
    for number in range(40):
        bus.publish(make(EventPriority(number % 4)))
    assert not bus.close(10)
    statistics = bus.statistics()
    assert statistics.published == dict.fromkeys(EventPriority, 10)
    assert statistics.delivered == dict.fromkeys(EventPriority, 20)
    assert statistics.latencies[LatencyPath.PUBLISH, HIGH].count == 10
    assert statistics.latencies[LatencyPath.HAND_OFF, HIGH].count == 20
    assert statistics.latencies[LatencyPath.HANDLER, HIGH].count == 20


def test_waiting_and_working_are_told_apart(bus: RiskEventBus, make: Make) -> None:
    """One wants more workers, the other a better handler."""
    work_ns = 20_000_000

    def handle(_: RiskEvent) -> None:
        end = perf_counter_ns() + work_ns
        while perf_counter_ns() < end:
            pass

    bus.subscribe(None, handle)
    for _ in range(2):
        bus.publish(make(NORMAL))
    assert not bus.close(10)
    latencies = bus.statistics().latencies
    assert latencies[LatencyPath.HANDLER, NORMAL].total_ns >= 2 * work_ns
    assert latencies[LatencyPath.HAND_OFF, NORMAL].total_ns >= work_ns


def test_what_is_above_the_objective_is_counted_exactly(open_bus: Open, make: Make) -> None:
    """A histogram's bucket is too coarse to say how often a promise was broken."""
    bus = open_bus(latency_slo_us={CRITICAL: 0.001, HIGH: 3_600_000_000})
    bus.subscribe(None, lambda _: None, inline=True)
    for priority in EventPriority:
        for _ in range(5):
            bus.publish(make(priority))
    latencies = bus.statistics().latencies
    assert [latencies[LatencyPath.HAND_OFF, priority].late for priority in EventPriority] == [5, 0, 0, 0]


def test_without_monitoring_nothing_is_timed_and_everything_is_counted(open_bus: Open, make: Make) -> None:
    """Who needs the last tenth of a microsecond can have it."""
    bus = open_bus(enable_latency_monitoring=False)
    bus.subscribe(None, lambda _: None, inline=True)
    bus.publish(make(LOW))
    statistics = bus.statistics()
    assert (statistics.published[LOW], statistics.delivered[LOW]) == (1, 1)
    assert {latency.count for latency in statistics.latencies.values()} == {0}


def test_a_latency_falls_into_the_first_bucket_that_holds_it() -> None:
    """Bounds are inclusive, as Prometheus' `le` is, and nothing falls through."""
    latency = Latency()
    latency.add([5_000_000_000, 1, 1_000, 1_001, 2_500, 999_999_999, 1_000_000_000], 10**18)
    buckets = latency.buckets
    assert (buckets[0], buckets[1], buckets[-2], buckets[-1]) == (2, 2, 2, 1)
    assert sum(buckets) == 7
    assert list(BUCKET_BOUNDS_NS) == sorted(set(BUCKET_BOUNDS_NS))
    assert (BUCKET_BOUNDS_NS[0], BUCKET_BOUNDS_NS[-1]) == (1_000, 1_000_000_000)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 1_000), (0.99, 2_500), (1.0, 1_000_000_000)])
def test_a_quantile_is_the_bound_of_its_bucket(share: float, expected: int) -> None:
    """Never better than the truth."""
    cumulative = [98, 99, *[99] * (len(BUCKET_BOUNDS_NS) - 2)]
    assert LatencyStatistics(100, 0, 0, tuple(cumulative)).quantile_ns(share) == expected


def test_counts_of_threads_that_ended_stay() -> None:
    """Programs that publish from a new thread each time keep exact counts in bounded memory."""
    histograms = Histograms()
    histograms.objectives_ns = objectives_ns({LOW: 1})
    tallies = Tallies(histograms)
    for _ in range(50):
        thread = threading.Thread(target=lambda: tallies.tally.pending[LOW][LatencyPath.PUBLISH].append(1_001))
        thread.start()
        thread.join()
    assert histograms.total()[LatencyPath.PUBLISH][LOW].late == 50
    assert len(histograms._of_threads) <= 1  # noqa: SLF001 -- memory is what this is about


def test_prometheus_gets_the_same_figures(open_bus: Open, make: Make, registry: CollectorRegistry) -> None:
    """Alerts are made of these names."""
    bus = open_bus(latency_slo_us={CRITICAL: 0.001})

    def broken(_event: RiskEvent) -> None:
        raise LookupError

    bus.subscribe(None, broken, name="broken", inline=True)
    for _ in range(3):
        bus.publish(make(CRITICAL))
    assert registry.get_sample_value("riskbus_published_total", {"priority": "CRITICAL"}) == 3
    assert registry.get_sample_value("riskbus_delivered_total", {"priority": "CRITICAL"}) == 3
    assert registry.get_sample_value("riskbus_handler_failures_total", {"subscription": "broken"}) == 3
    assert registry.get_sample_value("riskbus_dropped_total", {"subscription": "broken", "reason": "queue_events"}) == 0
    labels = {"path": "hand_off", "priority": "CRITICAL"}
    assert registry.get_sample_value("riskbus_latency_objective_misses_total", labels) == 3
    assert registry.get_sample_value("riskbus_latency_seconds_count", labels) == 3
    assert registry.get_sample_value("riskbus_latency_seconds_bucket", labels | {"le": "1.0"}) == 3


@pytest.mark.parametrize(("own", "label"), [("desk \ud800", r"desk \ud800"), (5, "Oddly")])
def test_a_handler_with_an_odd_name_of_its_own_breaks_no_metrics(
    bus: RiskEventBus, registry: CollectorRegistry, own: object, label: str
) -> None:
    """One label that Prometheus cannot read would take every metric of the process with it."""

    class Oddly:
        def __call__(self, event: RiskEvent) -> None:
            """Do nothing."""

    Oddly.__qualname__ = "Oddly"
    handler = Oddly()
    handler.__qualname__ = own  # type: ignore[attr-defined]  # as a decorator might
    bus.subscribe(None, handler)
    assert f'riskbus_waiting{{subscription="{label}"}}'.replace("\\", "\\\\") in generate_latest(registry).decode()


def test_what_was_counted_of_a_handler_stays_when_it_is_taken_back(
    bus: RiskEventBus, make: Make, registry: CollectorRegistry
) -> None:
    """What was dropped because of it could be seen nowhere else, and a lower count looks like a restart."""
    held = Inbox(held=True)
    leaver = bus.subscribe(None, held, name="leaver", capacity=2)
    bus.publish(make())
    assert held.wait_for(1)
    for _ in range(3):
        bus.publish(make())
    once = {"subscription": "once"}

    def handle_once(_event: RiskEvent) -> None:
        bus.unsubscribe(own)
        raise LookupError

    own = bus.subscribe(None, handle_once, name="once", inline=True)
    bus.publish(make())
    assert registry.get_sample_value("riskbus_handler_failures_total", once) == 1
    bus.unsubscribe(leaver)
    bus.unsubscribe(leaver)
    held.release()
    assert not bus.close(10)
    dropped = {
        reason: registry.get_sample_value("riskbus_dropped_total", {"subscription": "leaver", "reason": reason})
        for reason in DropReason
    }
    assert dropped == dict.fromkeys(DropReason, 0) | {DropReason.QUEUE_EVENTS: 2, DropReason.UNSUBSCRIBED: 2}
    assert registry.get_sample_value("riskbus_waiting", {"subscription": "leaver"}) == 0
    assert registry.get_sample_value("riskbus_handler_failures_total", once) == 1


def test_names_without_end_take_bounded_memory_and_add_up(bus: RiskEventBus, make: Make) -> None:
    """A program that subscribes for each order, under a name of its own, must not collect names for ever."""
    for number in range(1_100):
        subscription = bus.subscribe(None, lambda _: 1 / 0, name=f"order {number}", inline=True)
        bus.publish(make())
        bus.unsubscribe(subscription)
    departed = bus.statistics().departed
    assert len(departed) == 1_001
    assert sum(each.failed for each in departed) == 1_100


def test_the_parts_of_a_latency_are_of_one_moment() -> None:
    """A mean that is made of other latencies than the count is no mean."""
    histograms = Histograms()
    histograms.objectives_ns = objectives_ns({LOW: 0.001})
    over = threading.Event()

    def count() -> None:
        while not over.is_set():
            histograms.add(LatencyPath.PUBLISH, LOW, [2] * 10)

    thread = threading.Thread(target=count)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        seen = [histograms.total()[LatencyPath.PUBLISH][LOW] for _ in range(2_000)]
    finally:
        sys.setswitchinterval(before)
        over.set()
        thread.join()
    assert all(latency.total_ns == 2 * sum(latency.buckets) == 2 * latency.late for latency in seen)
    assert seen[-1].late > 0


def test_statistics_that_are_taken_while_subscribers_come_and_go_never_go_back(bus: RiskEventBus, make: Make) -> None:
    """Who is neither here nor there in one picture, or both, makes a jump in every dashboard."""
    over = threading.Event()

    def come_and_go() -> None:
        while not over.is_set():
            subscription = bus.subscribe(None, lambda _: 1 / 0, name="passing", inline=True)
            bus.publish(make(LOW))
            bus.unsubscribe(subscription)

    def publish() -> None:
        while not over.is_set():
            bus.publish(make(HIGH))

    threads = [threading.Thread(target=work) for work in (come_and_go, publish, publish)]
    for thread in threads:
        thread.start()
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        seen = [bus.statistics() for _ in range(500)]
    finally:
        sys.setswitchinterval(before)
        over.set()
    for thread in threads:
        thread.join()
    for count in (_published, _failed):
        counts = [count(statistics) for statistics in seen]
        assert counts == sorted(counts)
        assert counts[-1] > 0


def _published(statistics: BusStatistics) -> int:
    return sum(statistics.published.values())


def _failed(statistics: BusStatistics) -> int:
    return sum(each.failed for each in (*statistics.subscriptions, *statistics.departed))


def test_counters_never_go_back_when_a_bus_closes(
    open_bus: Open, make: Make, registry: CollectorRegistry, tmp_path: pathlib.Path
) -> None:
    """Prometheus would take it for a restart and invent a rate."""
    first, second = open_bus(), open_bus(audit_log_path=tmp_path / "second" / "risk_audit.jsonl")
    first.publish(make(HIGH))
    second.publish(make(HIGH))
    first.close(5)
    first.close(5)
    assert registry.get_sample_value("riskbus_published_total", {"priority": "HIGH"}) == 2
    second.close(5)
    assert registry.get_sample_value("riskbus_published_total", {"priority": "HIGH"}) == 2
