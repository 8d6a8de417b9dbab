"""The same plan without a cluster: from manifests to what the operator would apply, and what it would refuse.

What the files do not tell is taken for granted: that StorageClasses exist, that PrometheusRules are known, and that
nothing was there before.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from riskbus_operator.api.errors import InvalidObjectError
from riskbus_operator.api.manifest import WorkloadManifest
from riskbus_operator.api.policy import RiskAuditPolicy
from riskbus_operator.desired.names import Object

from .checks import DEFAULT_CLASS
from .plan import plan
from .state import State, Workload

_WORKLOADS = ("Deployment", "StatefulSet")
_POLICY = "RiskAuditPolicy"
# Ages of policies from files are equal, and their plan knows no time.
_NO_TIME = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """What came out.

    Attributes:
        objects: What would be applied, in order; workloads as the part that the operator owns of them.
        refusals: Which workloads would be left as they are, and why.
    """

    objects: tuple[Object, ...]
    refusals: tuple[str, ...]


def render(manifests: Iterable[object]) -> Rendered:
    """Plan over manifests; kinds that the operator does not look at are passed over.

    Raises:
        InvalidObjectError: A policy or workload does not fit the API.
    """
    namespaces: dict[str, list[Object]] = {}
    for obj in _relevant(manifests):
        namespaces.setdefault(obj["metadata"]["namespace"], []).append(obj)
    plans = [item for name, objects in sorted(namespaces.items()) for item in plan(_state(name, objects)).policies]
    return Rendered(
        objects=tuple(action.obj for item in plans for action in item.changes),
        refusals=tuple(
            f"{item.name}: {workload.finding.reason}: {workload.finding.message}"
            for item in plans
            for workload in item.workloads
            if workload.finding is not None
        )
        + tuple(
            f"{item.name}: NoWorkloads: no workload in these files is covered" for item in plans if not item.workloads
        ),
    )


def _relevant(manifests: Iterable[object]) -> Iterator[Object]:
    """Policies and workloads, those within lists too, each checked and with a namespace."""
    for obj in manifests:
        if not isinstance(obj, dict):
            raise InvalidObjectError(repr(obj), ("it is not a Kubernetes object: each one is a mapping",))
        kind = obj.get("kind")
        if kind == "List":
            items = obj.get("items") or ()
            if not isinstance(items, list):
                raise InvalidObjectError("List", ("items: it must be a list of objects",))
            yield from _relevant(items)
        elif kind in (*_WORKLOADS, _POLICY):
            given = _without_nulls(obj)
            metadata = given.get("metadata")
            if not isinstance(metadata, dict):
                raise InvalidObjectError(str(kind), ("metadata: give the object a name",))
            named = given | {"metadata": {"namespace": "default"} | metadata}
            _check(kind, named)
            yield named


def _check(kind: str, obj: Object) -> None:
    if kind == _POLICY:
        RiskAuditPolicy.parse(obj, strict=True)
        return
    try:
        WorkloadManifest.parse(obj)
    except InvalidObjectError as error:
        raise InvalidObjectError(f"{kind}/{obj['metadata'].get('name', '')}", error.problems) from None


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - any part of an object
    """What the API server takes the manifest for: a field that is null is not set."""
    if isinstance(value, dict):
        return {name: _without_nulls(part) for name, part in value.items() if part is not None}
    return [_without_nulls(part) for part in value] if isinstance(value, list) else value


def _state(namespace: str, objects: list[Object]) -> State:
    policies = tuple(obj for obj in objects if obj["kind"] == _POLICY)
    named = {RiskAuditPolicy.parse(obj).spec.volume.storage_class_name or "default" for obj in policies}
    assumed = {"metadata": {"annotations": {DEFAULT_CLASS: "true"}}}
    workloads = [Workload(obj) for obj in objects if obj["kind"] in _WORKLOADS]
    return State(
        namespace=namespace,
        now=_NO_TIME,
        policies=policies,
        workloads={workload.key: workload for workload in workloads},
        storage_classes=dict.fromkeys(named, assumed),
    )
