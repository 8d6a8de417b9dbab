"""The API: what a policy and a report look like, as frozen pydantic models, and the CRDs made from them.

Here live the models, the rules that the API server holds them to, and the code that turns both into
CustomResourceDefinitions. Everything here is pure: no clock, no network, no Kubernetes client, and nothing
imported from the operator's other packages.
"""
