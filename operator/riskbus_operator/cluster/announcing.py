"""Events on a policy, for `kubectl describe`: one when a condition's status changes, none otherwise."""

import contextlib
import os
import socket
import uuid
from datetime import datetime

from riskbus_operator.api.conditions import Condition, ConditionType
from riskbus_operator.api.policy import PolicyStatus
from riskbus_operator.cluster.client import Cluster
from riskbus_operator.cluster.errors import ApiError
from riskbus_operator.desired.names import MANAGER, Object

_MAX_NOTE = 1024
_GOOD_WHEN_FALSE = frozenset({ConditionType.STALLED, ConditionType.RECONCILING})
_SILENT = frozenset({ConditionType.RECONCILING})  # it comes and goes with every change


async def announce(cluster: Cluster, policy: Object, status: PolicyStatus, now: datetime) -> None:
    """Create an Event for each reason for which a condition's status is not what the policy said before.

    Ready and the condition that it got its reason from make one Event, not two.

    An Event that cannot be created is not worth failing for: the conditions say the same.
    """
    before = {one["type"]: one["status"] for one in (policy.get("status") or {}).get("conditions") or []}
    news = [one for one in status.conditions if one.type not in _SILENT and _is_news(one, before.get(one.type))]
    for condition in {one.message: one for one in reversed(news)}.values():
        with contextlib.suppress(ApiError):
            await cluster.create(_event(policy, condition, now))


def _is_news(condition: Condition, before: str | None) -> bool:
    """A first status is news only if it is bad: that a new policy is not stalled interests nobody."""
    return condition.status != before if before is not None else not _is_good(condition)


def _is_good(condition: Condition) -> bool:
    return condition.status == ("False" if condition.type in _GOOD_WHEN_FALSE else "True")


def _event(policy: Object, condition: Condition, now: datetime) -> Object:
    metadata = policy["metadata"]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{uuid.uuid4().hex[:16]}", "namespace": metadata["namespace"]},
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "type": "Normal" if _is_good(condition) else "Warning",
        "reason": condition.reason,
        "action": "Reconcile",
        "note": f"{condition.type}: {condition.message}"[:_MAX_NOTE],
        "regarding": {
            "apiVersion": policy["apiVersion"],
            "kind": policy["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata.get("uid", ""),
        },
        "reportingController": f"riskbus.io/{MANAGER}",
        "reportingInstance": (os.environ.get("POD_NAME") or socket.gethostname())[:128],
    }
