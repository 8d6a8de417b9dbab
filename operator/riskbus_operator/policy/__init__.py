"""What to do and what to say about it: pure functions from the gathered state to a plan and a status.

Here live the state that is gathered, the plan that comes out of it, the named checks that hold a workload back,
and the conditions that a policy's status shows. No clock, no network, no Kubernetes client: the time is part of
the state.
"""
