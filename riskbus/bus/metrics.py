"""Metrics of the buses of a process: read from their counts when Prometheus asks, so that publishing pays nothing."""

from collections.abc import Callable, Iterator
from operator import attrgetter
from threading import Lock
from typing import Protocol
from weakref import WeakKeyDictionary, WeakSet

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from riskbus.bus.queueing import DropReason
from riskbus.bus.statistics import BusStatistics, by_name, total
from riskbus.bus.subscription import SubscriptionStatistics
from riskbus.bus.tally import BUCKET_BOUNDS_NS
from riskbus.completeness import REQUIREMENTS
from riskbus.events import EventPriority

_NS_PER_SECOND = 1_000_000_000
_OF_SUBSCRIPTIONS: tuple[tuple[str, str, Callable[[SubscriptionStatistics], int]], ...] = (
    ("riskbus_handler_failures", "Handler calls that raised.", attrgetter("failed")),
    ("riskbus_quarantines", "How often a slow handler came into quarantine.", attrgetter("quarantines")),
    ("riskbus_quarantined", "1 while a handler is in quarantine.", attrgetter("quarantined")),
    ("riskbus_waiting", "Events that wait for a handler.", attrgetter("waiting")),
    ("riskbus_waiting_bytes", "Bytes of the events that wait for a handler.", attrgetter("waiting_bytes")),
)
_COUNTERS = ("riskbus_handler_failures", "riskbus_quarantines")


class Source(Protocol):
    """What a bus is to its metrics."""

    def statistics(self) -> BusStatistics:
        """Return the counts of now."""


class BusCollector(Collector):
    """Adds up all buses of one registry, closed ones included. Thread-safe."""

    def __init__(self) -> None:
        self.begin_again()

    def begin_again(self) -> None:
        """Start from nothing: at the start, and in the child of a fork, where the lock may be held for ever."""
        self._lock = Lock()
        self._living: WeakSet[Source] = WeakSet()
        self._ended = total([])

    def add(self, bus: Source) -> None:
        """Count a bus in for as long as it exists."""
        with self._lock:
            self._living.add(bus)

    def retire(self, bus: Source) -> None:
        """Keep the counts of a bus that has ended: counters never go back."""
        with self._lock:
            if bus in self._living:
                self._living.discard(bus)
                self._ended = total([self._ended, bus.statistics()])

    def describe(self) -> list[Metric]:
        """Return nothing: the registry need not collect to learn the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of this moment."""
        with self._lock:
            statistics = total([self._ended, *(bus.statistics() for bus in self._living)])
        yield from _by_priority(statistics)
        yield from _by_subscription(statistics)
        yield from _latencies(statistics)
        yield _incomplete(statistics)
        yield from _configuration(statistics)


def _by_priority(statistics: BusStatistics) -> Iterator[Metric]:
    for name, text, counts in (
        ("riskbus_published", "Events published.", statistics.published),
        ("riskbus_delivered", "Handler calls that ended.", statistics.delivered),
    ):
        family = CounterMetricFamily(name, text, labels=["priority"])
        for priority in EventPriority:
            family.add_metric([priority.name], counts[priority])
        yield family


def _by_subscription(statistics: BusStatistics) -> Iterator[Metric]:
    subscriptions = by_name([*statistics.subscriptions, *statistics.departed])
    for name, text, value in _OF_SUBSCRIPTIONS:
        family = (CounterMetricFamily if name in _COUNTERS else GaugeMetricFamily)(name, text, labels=["subscription"])
        for subscription in subscriptions:
            family.add_metric([subscription.name], value(subscription))
        yield family
    text = "Events that a handler never got."
    dropped = CounterMetricFamily("riskbus_dropped", text, labels=["subscription", "reason"])
    for subscription in subscriptions:
        for reason in DropReason:
            dropped.add_metric([subscription.name, reason], subscription.dropped_by.get(reason, 0))
    yield dropped


def _latencies(statistics: BusStatistics) -> Iterator[Metric]:
    labels = ["path", "priority"]
    seconds = HistogramMetricFamily("riskbus_latency_seconds", "Latency by path and priority.", labels=labels)
    late = CounterMetricFamily("riskbus_latency_objective_misses", "Latencies above the objective.", labels=labels)
    for (path, priority), latency in statistics.latencies.items():
        names = [path.name.lower(), priority.name]
        bounds = zip(BUCKET_BOUNDS_NS, latency.cumulative, strict=True)
        buckets = [(str(bound / _NS_PER_SECOND), float(count)) for bound, count in bounds]
        seconds.add_metric(names, [*buckets, ("+Inf", float(latency.count))], latency.total_ns / _NS_PER_SECOND)
        late.add_metric(names, latency.late)
    yield seconds
    yield late


def _incomplete(statistics: BusStatistics) -> Metric:
    text = "Events that lacked what an auditor will ask for."
    family = CounterMetricFamily("riskbus_incomplete_evidence", text, labels=["event_type"])
    for event_type in REQUIREMENTS:
        family.add_metric([event_type], statistics.incomplete.get(event_type, 0))
    return family


def _configuration(statistics: BusStatistics) -> Iterator[Metric]:
    for name, text, count in (
        ("riskbus_config_changes", "Changes of settings that hold.", statistics.configuration.changes),
        ("riskbus_config_reload_failures", "Contents of the watched file refused.", statistics.configuration.failures),
    ):
        family = CounterMetricFamily(name, text)
        family.add_metric([], count)
        yield family


_lock = Lock()
_by_registry: WeakKeyDictionary[CollectorRegistry, BusCollector] = WeakKeyDictionary()


def collector_for(registry: CollectorRegistry) -> BusCollector:
    """Return the registry's collector, registered the first time. Thread-safe."""
    with _lock:
        if registry not in _by_registry:
            _by_registry[registry] = BusCollector()
            registry.register(_by_registry[registry])
        return _by_registry[registry]


def begin_again_in_child() -> None:
    """Make locks anew and forget the parent's counts, before any bus does so."""
    global _lock  # noqa: PLW0603 -- another thread of the parent may have held it
    _lock = Lock()
    for collector in _by_registry.values():
        collector.begin_again()
