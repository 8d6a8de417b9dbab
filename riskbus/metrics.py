"""Metrics of the audit log for Prometheus.

Publishers and writers count in plain integers; a collector reads them when it is scraped. So no metric takes a lock on
a path that matters, a fork cannot leave one locked, and several logs in a process share one collector, told apart by
their path.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from operator import attrgetter
from threading import Lock
from typing import TypeVar
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from riskbus.events import EventPriority
from riskbus.mount import MountReport, Verdict
from riskbus.store import posix

SYNC_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds; from a fast local disk to one that is about to hang."""

_COUNTERS = {
    "write_failures": ("audit_write_failures", "Writes and syncs that the audit volume refused."),
    "emergency_events": (
        "audit_emergency_events",
        "Records copied to standard output because the volume refused them.",
    ),
    "lost": ("audit_lost", "Events the log could not take; they are on standard output only."),
    "bytes_written": ("audit_written_bytes", "Bytes appended to segments."),
    "segments": ("audit_segments", "Segments begun."),
    "checkpoints": ("audit_checkpoints", "Checkpoints signed."),
    "compressed": ("audit_compressed_segments", "Closed segments that were compressed."),
    "moved_back": ("audit_moved_back_segments", "Segments that were moved back from the second directory."),
    "pruned": ("audit_pruned_segments", "Segments that were removed when their retention was over."),
    "suspect": ("audit_suspect", "Segments that were changed behind the writer's back."),
}
_GAUGES = {
    "durable_seq": ("audit_durable_seq", "Number up to which every record of this process is durable, -1 for none."),
    "checkpoint_size": ("audit_checkpoint_size", "Records covered by the newest checkpoint."),
    "backlog": ("audit_backlog_records", "Records accepted and not yet durable."),
    "failing": ("audit_failing", "1 while no directory takes records."),
    "on_second": ("audit_second_directory_active", "1 while records go to the second directory."),
}
_Family = TypeVar("_Family", CounterMetricFamily, GaugeMetricFamily)
_VOLUME = {
    "free_bytes": ("audit_volume_free_bytes", "Bytes free on the audit volume."),
    "capacity_bytes": ("audit_volume_capacity_bytes", "Size of the audit volume in bytes."),
    "free_inodes": ("audit_volume_free_inodes", "Files that can still be created on the audit volume, -1 for any."),
}


OUTAGES = ("full", "unavailable", "error")
"""Causes of outages: space, quota or a size limit is used up; the volume is read-only, stale or gone; anything else."""


class AuditMetrics:
    """The figures of one audit log. Each attribute has one writing thread; any thread may read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.events = [0] * len(EventPriority)
        self.write_failures = 0
        self.emergency_events = 0
        self.lost = 0
        self.bytes_written = 0
        self.segments = 0
        self.checkpoints = 0
        self.compressed = 0
        self.moved_back = 0
        self.pruned = 0
        self.suspect = 0
        self.outages = [0] * len(OUTAGES)
        self.durable_seq = -1
        self.checkpoint_size = 0
        self.backlog = 0
        self.failing = 0
        self.on_second = 0
        self.mount: MountReport | None = None
        self.second_mount: MountReport | None = None
        self.sync_counts = [0] * (len(SYNC_BUCKETS) + 1)
        self.sync_seconds = 0.0

    def observe_sync(self, seconds: float) -> None:
        """Count one sync that took so long."""
        self.sync_counts[bisect_left(SYNC_BUCKETS, seconds)] += 1
        self.sync_seconds += seconds

    def count_outage(self, error: OSError) -> None:
        """Count the beginning of a time in which the volume refuses records."""
        self.outages[0 if error.errno in posix.FULL else 1 if error.errno in posix.GONE else 2] += 1

    def absorb(self, other: "AuditMetrics") -> None:
        """Add the counters of an earlier log on the same path, so that they go on from there."""
        for name in _COUNTERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.events = [a + b for a, b in zip(self.events, other.events, strict=True)]
        self.outages = [a + b for a, b in zip(self.outages, other.outages, strict=True)]
        self.sync_counts = [a + b for a, b in zip(self.sync_counts, other.sync_counts, strict=True)]
        self.sync_seconds += other.sync_seconds


class AuditCollector(Collector):
    """Turns the figures of every audit log that belongs to a registry into metrics. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._logs: list[AuditMetrics] = []
        self._ended: dict[str, AuditMetrics] = {}

    def add(self, metrics: AuditMetrics) -> None:
        """Show the figures of a log."""
        with self._lock:
            self._logs.append(metrics)

    def retire(self, metrics: AuditMetrics) -> None:
        """Keep the counters of a log that ended."""
        with self._lock:
            if metrics in self._logs:
                self._logs.remove(metrics)
                ended = self._ended.get(metrics.path)
                if ended:
                    metrics.absorb(ended)
                self._ended[metrics.path] = metrics

    def replace(self, old: AuditMetrics, new: AuditMetrics) -> None:
        """Show another log's figures instead; for the child after a fork, where a lock may be left taken for ever."""
        self._lock = Lock()
        self._logs = [new if log is old else log for log in self._logs]

    def describe(self) -> list[Metric]:
        """Return nothing: there is no log yet when this is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of every log, one sample for each path."""
        merged = self._merge()
        yield _events(merged)
        yield _outages(merged)
        yield _sync_duration(merged)
        for name, (metric, text) in _COUNTERS.items():
            yield _family(CounterMetricFamily, metric, text, merged, attrgetter(name))
        for name, (metric, text) in _GAUGES.items():
            yield _family(GaugeMetricFamily, metric, text, merged, attrgetter(name))
        answered = [log for log in merged if log.mount]
        for name, (metric, text) in _VOLUME.items():
            yield _family(GaugeMetricFamily, metric, text, answered, attrgetter(f"mount.{name}"))
        text = "1 if the audit volume is durable (Valid or Degraded), 0 if records on it can be lost."
        yield _family(GaugeMetricFamily, "audit_mount_valid", text, answered, lambda log: _is_durable(log.mount))
        text = "The same of the volume of the second directory, where there is one."
        second = [log for log in merged if log.second_mount]
        name = "audit_second_mount_valid"
        yield _family(GaugeMetricFamily, name, text, second, lambda log: _is_durable(log.second_mount))

    def _merge(self) -> list[AuditMetrics]:
        with self._lock:
            logs = [*self._logs, *self._ended.values()]
        merged: dict[str, AuditMetrics] = {}
        for log in logs:
            if log.path not in merged:
                merged[log.path] = copy = AuditMetrics(log.path)
                for name in (*_GAUGES, "mount", "second_mount"):
                    setattr(copy, name, getattr(log, name))
            merged[log.path].absorb(log)
        return list(merged.values())


_collectors: WeakKeyDictionary[CollectorRegistry, AuditCollector] = WeakKeyDictionary()
_collectors_lock = Lock()


def collector_for(registry: CollectorRegistry) -> AuditCollector:
    """Return the one collector for audit logs of a registry, registering it the first time. Thread-safe."""
    with _collectors_lock:
        collector = _collectors.get(registry)
        if collector is None:
            collector = _collectors[registry] = AuditCollector()
            registry.register(collector)
        return collector


def _family(
    family: type[_Family],
    name: str,
    text: str,
    logs: list[AuditMetrics],
    value: Callable[[AuditMetrics], float],
) -> _Family:
    metric = family(name, text, labels=["path"])
    for log in logs:
        metric.add_metric([log.path], value(log))
    return metric


def _is_durable(mount: MountReport | None) -> float:
    return float(mount is not None and mount.verdict is not Verdict.INVALID)


def _events(logs: list[AuditMetrics]) -> CounterMetricFamily:
    metric = CounterMetricFamily("audit_events", "Events handed to the writer.", labels=["path", "priority"])
    for log in logs:
        for priority in EventPriority:
            metric.add_metric([log.path, priority.name], log.events[priority])
    return metric


def _outages(logs: list[AuditMetrics]) -> CounterMetricFamily:
    text = "Times in which the audit volume refused records, by what it said first."
    metric = CounterMetricFamily("audit_outages", text, labels=["path", "cause"])
    for log in logs:
        for cause, count in zip(OUTAGES, log.outages, strict=True):
            metric.add_metric([log.path, cause], count)
    return metric


def _sync_duration(logs: list[AuditMetrics]) -> HistogramMetricFamily:
    text = "Time that the audit volume took to make a batch durable."
    metric = HistogramMetricFamily("audit_sync_duration_seconds", text, labels=["path"])
    for log in logs:
        total = 0
        buckets = []
        for bound, number in zip((*map(str, SYNC_BUCKETS), "+Inf"), log.sync_counts, strict=True):
            total += number
            buckets.append((bound, total))
        metric.add_metric([log.path], buckets, log.sync_seconds)
    return metric
