"""From pydantic's JSON schema to a structural schema, the dialect of CustomResourceDefinitions.

A structural schema has no references, no nulls, no `const` and no titles. What this module does not know, it
refuses: a keyword that the API server would drop, or read in another way, must not slip through.

Source: Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions", Specifying a
structural schema.
"""

from collections.abc import Mapping
from typing import Any

from .errors import OperatorError

_Schema = dict[str, Any]

# Keywords that mean in a structural schema what they mean to pydantic, or that exist there alone.
_SAME = frozenset(
    {
        "description",
        "enum",
        "format",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "pattern",
        "required",
        "type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-map-type",
        "x-kubernetes-validations",
    }
)
_TYPES = frozenset({"array", "boolean", "integer", "object", "string"})
_FORMATS = frozenset({"date-time", "int64"})


class SchemaError(OperatorError):
    """A model uses what a structural schema cannot say: change the model, or teach `structural` the keyword."""


def structural(schema: Mapping[str, Any]) -> _Schema:
    """The structural schema of what `model_json_schema(by_alias=True)` returned.

    Raises:
        SchemaError: The schema has something that cannot be carried over; its text says where.
    """
    return _node(schema, schema.get("$defs", {}), "")


def without_defaults(schema: _Schema) -> _Schema:
    """A structural schema whose fields have no defaults, for what is observed: what nobody said must stay unsaid."""
    stripped = {key: value for key, value in schema.items() if key != "default"}
    if "properties" in stripped:
        stripped["properties"] = {name: without_defaults(child) for name, child in stripped["properties"].items()}
    if "items" in stripped:
        stripped["items"] = without_defaults(stripped["items"])
    return stripped


def _node(schema: Mapping[str, Any], definitions: Mapping[str, _Schema], at: str) -> _Schema:
    """One level, with the levels below it."""
    flat = _flattened(schema, definitions, at)
    written = {key: _translated(key, value, definitions, at) for key, value in flat.items() if key != "const"}
    if "const" in flat:
        written["enum"] = [flat["const"]]
    if written.get("type") == "integer":
        written.setdefault("format", "int64")
    if written.get("type") not in _TYPES or written.get("format", "int64") not in _FORMATS:
        raise SchemaError(
            f"{at or '.'}: type {written.get('type')}, format {written.get('format')} cannot be carried over"
        )
    if "default" in written:
        written["default"] = _without_nulls(written["default"])
    return written


def _flattened(schema: Mapping[str, Any], definitions: Mapping[str, _Schema], at: str) -> _Schema:
    """The level without references, titles and the null of an optional field."""
    flat = {key: value for key, value in schema.items() if key not in ("$defs", "title")}
    if "anyOf" in flat:
        present = [branch for branch in flat.pop("anyOf") if branch != {"type": "null"}]
        if len(present) != 1:
            raise SchemaError(f"{at}: a choice between types has no structural form")
        if flat.get("default", ...) is None:
            del flat["default"]
        return _flattened(present[0] | flat, definitions, at)
    if "$ref" in flat:
        target = definitions[flat.pop("$ref").removeprefix("#/$defs/")]
        return _flattened(target | flat, definitions, at)
    return flat


def _translated(key: str, value: Any, definitions: Mapping[str, _Schema], at: str) -> Any:  # noqa: ANN401 - JSON
    """The value of one keyword."""
    if key in _SAME or key == "default":
        return value
    if key == "properties":
        return {name: _node(child, definitions, f"{at}.{name}") for name, child in value.items()}
    if key == "items" or (key == "additionalProperties" and isinstance(value, dict)):
        return _node(value, definitions, f"{at}[*]")
    raise SchemaError(f"{at or '.'}: the keyword {key} has no structural form")


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - JSON
    """A default without its unset fields; what is set stays, since the API server checks a default as it stands."""
    if isinstance(value, dict):
        return {key: _without_nulls(child) for key, child in value.items() if child is not None}
    return value
