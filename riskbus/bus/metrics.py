"""Metrics of the buses of a process: read from their counts when Prometheus asks, so that publishing pays nothing."""

from collections import Counter
from collections.abc import Callable, Iterator
from threading import Lock
from weakref import WeakKeyDictionary, WeakSet

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from riskbus.bus.statistics import BusStatistics
from riskbus.bus.tally import BUCKET_BOUNDS_NS, Path
from riskbus.events import EventPriority

_NS_PER_SECOND = 1_000_000_000


class BusCollector(Collector):
    """Adds up all buses of one registry. Thread-safe."""

    def __init__(self) -> None:
        self._sources: WeakSet[_Source] = WeakSet()

    def add(self, statistics: Callable[[], BusStatistics]) -> "_Source":
        """Show a bus for as long as the returned object is kept."""
        source = _Source(statistics)
        self._sources.add(source)
        return source

    def describe(self) -> list[Metric]:
        """Return nothing: the registry need not collect to learn the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of this moment."""
        buses = [source.statistics() for source in list(self._sources)]
        yield from _by_priority(buses)
        yield from _by_subscription(buses)
        yield from _latencies(buses)


class _Source:
    def __init__(self, statistics: Callable[[], BusStatistics]) -> None:
        self.statistics = statistics


def _by_priority(buses: list[BusStatistics]) -> Iterator[Metric]:
    published = CounterMetricFamily("riskbus_published", "Events published.", labels=["priority"])
    delivered = CounterMetricFamily("riskbus_delivered", "Handler calls that ended.", labels=["priority"])
    for priority in EventPriority:
        published.add_metric([priority.name], sum(bus.published[priority] for bus in buses))
        delivered.add_metric([priority.name], sum(bus.delivered[priority] for bus in buses))
    yield published
    yield delivered


def _by_subscription(buses: list[BusStatistics]) -> Iterator[Metric]:
    failed: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    for bus in buses:
        for subscription in bus.subscriptions:
            failed[subscription.name] += subscription.failed
            dropped[subscription.name] += subscription.dropped
    for name, text, counts in (
        ("riskbus_handler_failures", "Handler calls that raised.", failed),
        ("riskbus_dropped", "Events that a handler never got.", dropped),
    ):
        family = CounterMetricFamily(name, text, labels=["subscription"])
        for subscription_name, count in counts.items():
            family.add_metric([subscription_name], count)
        yield family


def _latencies(buses: list[BusStatistics]) -> Iterator[Metric]:
    labels = ["path", "priority"]
    seconds = HistogramMetricFamily("riskbus_latency_seconds", "Latency by path and priority.", labels=labels)
    late = CounterMetricFamily("riskbus_latency_objective_misses", "Latencies above the objective.", labels=labels)
    for path in Path:
        for priority in EventPriority:
            found = [bus.latencies[path, priority] for bus in buses]
            names = [path.name.lower(), priority.name]
            buckets = [
                (str(bound / _NS_PER_SECOND), float(sum(latency.cumulative[index] for latency in found)))
                for index, bound in enumerate(BUCKET_BOUNDS_NS)
            ]
            buckets.append(("+Inf", float(sum(latency.count for latency in found))))
            seconds.add_metric(names, buckets, sum(latency.total_ns for latency in found) / _NS_PER_SECOND)
            late.add_metric(names, sum(latency.late for latency in found))
    yield seconds
    yield late


_lock = Lock()
_by_registry: WeakKeyDictionary[CollectorRegistry, BusCollector] = WeakKeyDictionary()


def collector_for(registry: CollectorRegistry) -> BusCollector:
    """Return the registry's collector, registered the first time. Thread-safe."""
    with _lock:
        if registry not in _by_registry:
            _by_registry[registry] = BusCollector()
            registry.register(_by_registry[registry])
        return _by_registry[registry]
