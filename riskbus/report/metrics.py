"""Metrics of the reporter, one set for each registry however many logs report."""

from threading import Lock
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Gauge


class ReportMetrics:
    """Counts what became of reports.

    Attributes:
        failures: Reports that the API server did not get or did not take, by `reason`.
        last_success: When the last report was accepted.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.failures = Counter(
            "audit_report_failures_total",
            "Reports that the Kubernetes API server did not get or did not take.",
            ["reason"],
            registry=registry,
        )
        self.last_success = Gauge(
            "audit_report_last_success_timestamp_seconds",
            "When the Kubernetes API server last accepted this pod's report.",
            registry=registry,
        )


_lock = Lock()
_by_registry: WeakKeyDictionary[CollectorRegistry, ReportMetrics] = WeakKeyDictionary()


def metrics_for(registry: CollectorRegistry) -> ReportMetrics:
    """Return the registry's metrics, made the first time. Thread-safe."""
    with _lock:
        if registry not in _by_registry:
            _by_registry[registry] = ReportMetrics(registry)
        return _by_registry[registry]
