"""From pydantic's schema to a structural one: what is known is carried over, what is not known is refused."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from riskbus_operator.api.crds import definitions
from riskbus_operator.api.structural import SchemaError, structural
from tests.policy_api.examples import GOOD, VARIANTS, changed
from tests.policy_api.test_models import REPORT

POLICY, REPORTS = (crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for crd in definitions())


class Part(BaseModel):
    """What a reference points to."""

    size: int = 1


class Whole(BaseModel):
    """Everything that pydantic writes in a way of its own."""

    part: Annotated[Part, Field(description="The part.")] = Part()
    perhaps: Part | None = None
    only: Literal["This"] = "This"
    parts: tuple[Part, ...] = ()


def test_references_nulls_and_constants_become_what_a_crd_can_say() -> None:
    """`$ref`, `anyOf` with null and `const` are refused by the API server."""
    part = {
        "type": "object",
        "description": "What a reference points to.",
        "properties": {"size": {"type": "integer", "format": "int64", "default": 1}},
    }

    assert structural(Whole.model_json_schema()) == {
        "type": "object",
        "description": "Everything that pydantic writes in a way of its own.",
        "properties": {
            "part": part | {"description": "The part.", "default": {"size": 1}},
            "perhaps": part,
            "only": {"type": "string", "enum": ["This"], "default": "This"},
            "parts": {"type": "array", "items": part, "default": []},
        },
    }


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (Annotated[int, Field(gt=0)], "exclusiveMinimum"),
        (Annotated[int, Field(multiple_of=2)], "multipleOf"),
        (int | str, "choice between types"),
        (float, "type number"),
        (Any, "type None"),
        (tuple[int, str], "prefixItems"),
        (bytes, "format binary"),
    ],
    ids=str,
)
def test_what_a_crd_cannot_say_is_refused(kind: Any, what: str) -> None:
    """A keyword that slipped through would be dropped by the API server, and the rule with it."""
    schema = {"type": "object", "properties": {"field": _field_schema(kind)}}

    with pytest.raises(SchemaError, match=what) as refusal:
        structural(schema)

    assert ".field" in str(refusal.value)


def _field_schema(kind: Any) -> dict[str, Any]:
    class Holder(BaseModel):
        field: kind

    found: dict[str, Any] = Holder.model_json_schema()["properties"]["field"]
    return found


@pytest.mark.parametrize("schema", [POLICY, REPORTS], ids=["policy", "report"])
def test_every_schema_is_a_json_schema(schema: dict[str, Any]) -> None:
    """An independent reading of what was generated."""
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_good_policies_fit_the_generated_schema(changes: dict[str, object]) -> None:
    """The validator knows neither pydantic nor Kubernetes, and must agree with both."""
    Draft202012Validator(POLICY).validate(changed(changes))


def test_a_report_fits_the_generated_schema() -> None:
    """The same for reports."""
    Draft202012Validator(REPORTS).validate(REPORT)


def test_the_generated_schema_refuses_what_is_not_of_its_shape() -> None:
    """The check before can fail."""
    policy = changed({"spec.mode": "Sometimes", "spec.retention": {"days": 0}, "spec.audit.durability": 1})
    wrong = {".".join(map(str, error.path)) for error in Draft202012Validator(POLICY).iter_errors(policy)}

    assert wrong == {"spec.mode", "spec.retention.days", "spec.audit.durability"}


@pytest.mark.parametrize("schema", [POLICY, REPORTS], ids=["policy", "report"])
def test_every_field_is_explained(schema: dict[str, Any]) -> None:
    """`kubectl explain` is the reference that is always at hand."""
    silent = [path for path, field in _fields(schema, "") if path != ".metadata" and not field.get("description")]

    assert silent == []


@pytest.mark.parametrize("schema", [POLICY, REPORTS], ids=["policy", "report"])
def test_everything_that_can_grow_has_a_bound(schema: dict[str, Any]) -> None:
    """CEL's cost is estimated from the bounds, and etcd's objects are small."""
    bound = {"string": "maxLength", "array": "maxItems"}
    endless = [
        path
        for path, field in _fields(schema, "")
        if field["type"] in bound
        and bound[field["type"]] not in field
        and not field.keys() & {"enum", "format"}
        and path not in (".apiVersion", ".kind")
    ]

    assert endless == []


def _fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from _fields(field.get("items", field), f"{path}.{name}")


def test_three_sections_are_all_that_is_required() -> None:
    """A policy that takes a screenful to write is not written."""
    assert POLICY["properties"]["spec"]["required"] == ["workloads", "audit", "volume"]
    assert GOOD["spec"].keys() == {"workloads", "audit", "volume"}
