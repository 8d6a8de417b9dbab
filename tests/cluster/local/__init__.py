"""A real Kubernetes on one Debian machine, built from Go modules and run in namespaces of its own.

What may live here: what builds the binaries and images, starts, checks and ends the cluster, and its storage
driver. Nothing here knows riskbus or its operator; the package stands on the standard library, PyYAML and
cryptography. `python -m tests.cluster.local --help` is its command line.
"""
