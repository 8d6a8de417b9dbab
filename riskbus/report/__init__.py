"""Keeps the pod's RiskAuditReport current in the Kubernetes API.

What may live here: what a report says (`manifest`, pure), who this pod is (`identity`), how the API server is spoken to
(`api`), and the thread that does it (`reporter`). Nothing here reaches into the audit log: it is given a function that
returns the log's status. Only the standard library speaks to the API server, so that a trading image needs no
Kubernetes client.
"""

from riskbus.report.reporter import Reporter, start

__all__ = ["Reporter", "start"]
