"""kopf's watches: whatever happens to an object that a plan depends on marks its namespace dirty.

Only `on.event` handlers: they put neither finalizers nor annotations on anything.
"""

import os
from typing import Any

import kopf

from riskbus_operator.desired.names import MANAGED_BY_LABEL, MANAGER
from riskbus_operator.handlers.loops import Loops

_PREFIX = "riskbus.io"
_DEPENDED_ON = (
    ("apps", "v1", "deployments"),
    ("apps", "v1", "statefulsets"),
    ("", "v1", "persistentvolumeclaims"),
    ("riskbus.io", "v1alpha1", "riskauditreports"),
)


def registry(loops: Loops) -> kopf.OperatorRegistry:
    """The handlers of all watches."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers, id="login")
    def login(**arguments: Any) -> kopf.ConnectionInfo | None:  # noqa: ANN401 - kopf's own protocol
        if os.environ.get("KUBECONFIG"):
            return kopf.login_with_kubeconfig(**arguments)
        return kopf.login_with_service_account(**arguments)

    @kopf.on.event("riskbus.io", "v1alpha1", "riskauditpolicies", registry=handlers, id="policy")
    async def policy(namespace: str | None, **_: object) -> None:
        loops.mark(namespace or "")

    for group, version, plural in _DEPENDED_ON:

        @kopf.on.event(group, version, plural, registry=handlers, id=plural)
        async def depended_on(namespace: str | None, **_: object) -> None:
            loops.mark_known(namespace or "")

    return handlers


def settings() -> kopf.OperatorSettings:
    """No annotations, no events, no peering, no watching of CustomResourceDefinitions."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.scanning.disabled = True
    chosen.persistence.finalizer = f"{_PREFIX}/kopf"
    chosen.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=_PREFIX)
    chosen.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=_PREFIX)
    chosen.watching.label_selectors["persistentvolumeclaims"] = f"{MANAGED_BY_LABEL}={MANAGER}"
    return chosen
