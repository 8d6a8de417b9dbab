"""The Kubernetes client: reads the state of a namespace, carries plans out, holds the Lease.

Only this layer speaks to the API server. It decides nothing: what to do comes from `riskbus_operator.policy`.
"""
