"""`make demo`: one RiskAuditPolicy makes a trading workload's audit log durable, on a real cluster.

`terminal` shows a person where the demonstration is, `target` is the cluster it runs on, `chapters` is what it shows.
"""
