"""Who owns which field: reading `metadata.managedFields` (KEP-555, server-side apply).

The operator keeps no mark and no copy of what it applied. What it owns is what the API server says it owns, so a
killed operator loses nothing, and comparing that with what is wanted tells whether there is anything to write.
"""

import json
from collections.abc import Iterable
from typing import Any

from riskbus_operator.desired.names import MANAGER, Object

_IDENTITY = ("apiVersion", "kind", "metadata")


def owned(obj: Object, *, subresource: str = "") -> Object:
    """The part of a live object that the operator owns by apply, as it would be applied; {} for nothing."""
    for entry in _entries(obj):
        if _is_ours(entry) and entry.get("subresource", "") == subresource:
            part = _extract(entry["fieldsV1"], obj)
            return part if isinstance(part, dict) else {}
    return {}


def is_applied(wanted: Object, live: Object | None, *, subresource: str = "") -> bool:
    """Whether applying `wanted` would change nothing: the operator owns exactly its fields, with its values."""
    if live is None:
        return False
    metadata = {key: value for key, value in wanted["metadata"].items() if key not in ("name", "namespace", "uid")}
    fields = {key: value for key, value in wanted.items() if key not in _IDENTITY}
    return _same(fields | ({"metadata": metadata} if metadata else {}), owned(live, subresource=subresource))


def others_own(obj: Object, path: Iterable[str]) -> tuple[str, ...]:
    """Names of the other managers that own the entry at the path, or anything in it, in order.

    Args:
        obj: The live object.
        path: Steps as FieldsV1 spells them, like `f:spec` or `k:{"name":"jules"}`.
    """
    steps = tuple(path)
    return tuple(
        entry.get("manager", "unknown") for entry in _entries(obj) if not _is_ours(entry) and _has(entry, steps)
    )


def has_managers(obj: Object) -> bool:
    """Whether the object tells who owns what; one from a file does not."""
    return bool(_entries(obj))


def item_step(**keys: str) -> str:
    """The step of a path that leads to an item of a list by its key, like name='jules'."""
    return "k:" + json.dumps(keys, separators=(",", ":"), ensure_ascii=False)


def _entries(obj: Object) -> list[Object]:
    return obj["metadata"].get("managedFields") or []


def _is_ours(entry: Object) -> bool:
    return entry.get("manager") == MANAGER and entry.get("operation") == "Apply"


def _has(entry: Object, steps: tuple[str, ...]) -> bool:
    fields = entry.get("fieldsV1", {})
    for step in steps:
        if step not in fields:
            return False
        fields = fields[step]
    return True


def _extract(fields: Object, value: Any) -> Any:  # noqa: ANN401 - any part of an object
    """The part of `value` that the FieldsV1 tree names; a leaf stands for all that is below it."""
    if not fields:
        return value
    if isinstance(value, list):
        return [_extract(fields[step], value[at]) for step, at in _items(fields, value)]
    if isinstance(value, dict):
        names = (step.removeprefix("f:") for step in fields if step.startswith("f:"))
        return {name: _extract(fields[f"f:{name}"], value[name]) for name in names if name in value}
    return value


def _items(fields: Object, values: list[Any]) -> list[tuple[str, int]]:
    """Steps into a list and the positions they lead to, in the list's order."""
    found = [(step, at) for step in fields for at, value in enumerate(values) if _leads_to(step, value)]
    return sorted(found, key=lambda item: item[1])


def _leads_to(step: str, value: Any) -> bool:  # noqa: ANN401 - any item of a list
    if step.startswith("k:") and isinstance(value, dict):
        keys = json.loads(step.removeprefix("k:"))
        return all(value.get(key) == wanted for key, wanted in keys.items())
    return bool(step.startswith("v:") and json.loads(step.removeprefix("v:")) == value)


def _same(wanted: Any, have: Any) -> bool:  # noqa: ANN401 - any part of an object
    """Equal, but for the order of lists: the items of a list that several managers share have no order of ours."""
    if isinstance(wanted, dict) and isinstance(have, dict):
        return wanted.keys() == have.keys() and all(_same(value, have[key]) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(have, list):
        return len(wanted) == len(have) and all(any(_same(item, other) for other in have) for item in wanted)
    return bool(wanted == have)
