"""The reference page of the API, made from the generated definitions: every field, default and rule."""

import json
from collections.abc import Iterator
from typing import Any

from .crds import definitions
from .model import VALIDATIONS
from .strings import NOT_YET

_Schema = dict[str, Any]

_TYPE_FIELDS = frozenset({"apiVersion", "kind", "metadata"})

EXAMPLE = """\
apiVersion: riskbus.io/v1alpha1
kind: RiskAuditPolicy
metadata: {name: intraday, namespace: trading}
spec:
  workloads: {selector: {matchLabels: {app: intraday-jules}}}
  audit: {logPath: /var/log/intraday-jules/risk_audit.jsonl}
  volume: {size: 50Gi, storageClassName: fast-ssd}
"""

_INTRODUCTION = f"""\
# The API: RiskAuditPolicy and RiskAuditReport

Made from the models by `riskbus-operator reference --write docs/policy.md`; `kubectl explain riskauditpolicy.spec`
shows the same in a terminal.

This is a whole policy; everything else has a default:

```yaml
{EXAMPLE}```

## How a policy is refused

The API server refuses a policy that breaks a rule below, and says what to write instead. `kubectl apply
--dry-run=server` asks without changing anything. `riskbus-operator render` holds files to the same rules without a
cluster, except for the rules about changes, which need the policy as it was.

A field that does not exist is refused by kubectl, which asks for strict validation unless it is told otherwise. Other
clients may not ask for it: then the API server drops the field in silence, or with a warning.

Of the policy as a whole:
"""


def reference() -> str:
    """The page as Markdown."""
    policy, report = definitions()
    schema = _schema(policy)
    parts = [
        _INTRODUCTION,
        "".join(f"- {rule['message']}.\n" for rule in schema[VALIDATIONS]),
        _not_supported(schema),
        *_object(schema["properties"]["spec"], "spec", "RiskAuditPolicy: spec"),
        *_object(schema["properties"]["status"], "status", "RiskAuditPolicy: status"),
        *_object(_schema(report), "", "RiskAuditReport"),
        "## Columns of `kubectl get`\n",
        _columns(policy),
        _columns(report),
    ]
    return "\n".join(parts)


def _schema(definition: dict[str, Any]) -> _Schema:
    schema: _Schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def _not_supported(schema: _Schema) -> str:
    """The values that this version refuses because their behaviour is not there yet."""
    messages = [rule["message"] for _, node in _nodes(schema, "") for rule in node.get(VALIDATIONS, [])]
    refused = [f"- {message}.\n" for message in messages if NOT_YET in message]
    only = [
        f"- `{path}` takes `{node['enum'][0]}` alone.\n"
        for path, node in _nodes(schema["properties"]["spec"], "spec")
        if len(node.get("enum", ())) == 1
    ]
    introduction = "What the API already names but this version does not do is refused, never ignored:\n\n"
    return f"## Not supported yet\n\n{introduction}{''.join(refused)}{''.join(only)}"


def _nodes(schema: _Schema, path: str) -> Iterator[tuple[str, _Schema]]:
    """Every level of a schema with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from _nodes(child, f"{path}.{name}" if path else name)
    if "items" in schema:
        yield from _nodes(schema["items"], f"{path}[]")


def _object(schema: _Schema, path: str, title: str) -> list[str]:
    """The section of an object, and after it those of the objects in it."""
    fields = {name: child for name, child in schema["properties"].items() if path or name not in _TYPE_FIELDS}
    rows = [_row(name, child, name in schema.get("required", ())) for name, child in fields.items()]
    table = "| field | type | default | what it is |\n|---|---|---|---|\n" + "".join(rows)
    rules = [f"- {rule['message']}.\n" for rule in schema.get(VALIDATIONS, ())]
    rules += [f"- `{name}`: {rule['message']}.\n" for name, child in fields.items() for rule in _field_rules(child)]
    section = f"## {title}\n\n{schema.get('description', '')}\n\n{table}"
    sections = [f"{section}\nRules:\n\n{''.join(rules)}" if rules else section]
    for name, child in fields.items():
        below = child.get("items", child)
        if "properties" in below:
            at = f"{path}.{name}".removeprefix(".") + ("[]" if "items" in child else "")
            sections += _object(below, at, f"`{at}`")
    return sections


def _field_rules(schema: _Schema) -> Iterator[dict[str, str]]:
    """Rules of a field that has no section of its own, and of its entries."""
    if "properties" not in schema:
        yield from schema.get(VALIDATIONS, ())
        for entry in ("items", "additionalProperties"):
            if entry in schema:
                yield from _field_rules(schema[entry])


def _row(name: str, schema: _Schema, required: bool) -> str:
    """One field; an object's default is that of its own fields."""
    default = "required" if required else ""
    if "default" in schema and "properties" not in schema:
        default = f"`{json.dumps(schema['default'])}`"
    return f"| `{name}` | {_type(schema)} | {default} | {schema.get('description', '')} |\n"


def _type(schema: _Schema) -> str:
    """A type as a reader wants it."""
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "array":
        return f"list of {_type(schema['items'])}"
    if "additionalProperties" in schema:
        return f"map of {_type(schema['additionalProperties'])}"
    if schema["type"] == "integer" and "maximum" in schema:
        return f"integer, {schema['minimum']} to {schema['maximum']}"
    return "time (RFC 3339)" if schema.get("format") == "date-time" else str(schema["type"])


def _columns(definition: dict[str, Any]) -> str:
    """The printer columns; those marked wide show with `-o wide`."""
    short = definition["spec"]["names"]["shortNames"][0]
    rows = [
        f"| {column['name'].upper()}{' (wide)' if column.get('priority') else ''} | {column['description']} |\n"
        for column in definition["spec"]["versions"][0]["additionalPrinterColumns"]
    ]
    return f"`kubectl get {short}`:\n\n| column | what it says |\n|---|---|\n{''.join(rows)}"
