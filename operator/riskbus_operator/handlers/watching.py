"""kopf's watches: whatever happens to an object that a plan depends on marks its namespace dirty.

Only `on.event` handlers: kopf keeps no state for them, and puts neither finalizers nor annotations on anything. They
are coroutines, because kopf runs plain functions in threads. Pods are not watched: a workload's status and the
reports, one for each pod, tell when to look at them.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import kopf

from riskbus_operator.cluster.client import Credentials
from riskbus_operator.desired.names import MANAGED_BY_LABEL, MANAGER
from riskbus_operator.handlers.loops import Loops

_DEPENDED_ON = (
    ("apps", "v1", "deployments"),
    ("apps", "v1", "statefulsets"),
    ("", "v1", "persistentvolumeclaims"),
    ("riskbus.io", "v1alpha1", "riskauditreports"),
)


def registry(loops: Loops, credentials: Callable[[], Awaitable[Credentials]]) -> kopf.OperatorRegistry:
    """The handlers of all watches.

    Args:
        loops: What is marked.
        credentials: Gives the address of the API server and how to log in, again when a token has run out.
    """
    handlers = kopf.OperatorRegistry()

    # kopf's own login expects the cluster's DNS to know kubernetes.default.svc; this one uses what `Cluster` uses.
    @kopf.on.login(registry=handlers, id="login")
    async def login(**_: Any) -> kopf.ConnectionInfo:  # noqa: ANN401 - kopf's protocol
        found = await credentials()
        return kopf.ConnectionInfo(
            server=found.server,
            ca_path=found.ca_path,
            insecure=found.insecure,
            token=found.token,
            certificate_path=found.certificate_path,
            private_key_path=found.private_key_path,
        )

    @kopf.on.event("riskbus.io", "v1alpha1", "riskauditpolicies", registry=handlers, id="policy")
    async def policy(*, namespace: str | None, **_: Any) -> None:  # noqa: ANN401 - kopf's protocol
        loops.mark(namespace or "")

    for group, version, plural in _DEPENDED_ON:

        @kopf.on.event(group, version, plural, registry=handlers, id=plural)
        async def depended_on(*, namespace: str | None, **_: Any) -> None:  # noqa: ANN401 - kopf's protocol
            loops.mark_known(namespace or "")

    return handlers


def settings() -> kopf.OperatorSettings:
    """No events of kopf's, no peering, no watching of CustomResourceDefinitions, only claims that are ours."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.scanning.disabled = True
    # kopf takes a finalizer of this name off whatever carries it: it must not be the one that the plan puts on.
    chosen.persistence.finalizer = "riskbus.io/not-used"
    chosen.watching.label_selectors["persistentvolumeclaims"] = f"{MANAGED_BY_LABEL}={MANAGER}"
    return chosen
