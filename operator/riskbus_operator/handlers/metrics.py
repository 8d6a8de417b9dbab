"""The operator's own metrics for Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

RECONCILE_SECONDS = Histogram(
    "riskbus_operator_reconcile_duration_seconds", "Time of one pass over a namespace.", labelnames=["result"]
)
WRITES = Counter("riskbus_operator_writes_total", "Requests that changed something in the cluster.")
POLICIES = Gauge(
    "riskbus_operator_policies",
    "Policies by namespace and status of their condition Ready.",
    labelnames=["namespace", "ready"],
)
LEADER = Gauge("riskbus_operator_leader", "1 while this operator holds the Lease.")
