"""The operator of riskbus: durable, checked storage for the audit logs of trading workloads."""
