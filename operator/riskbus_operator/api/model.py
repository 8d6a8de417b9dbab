"""What all models share: frozen, snake_case in Python and camelCase in the API, with rules beside the types.

A `Rule` is written once and holds in two places: as CEL in the CRD, where the API server refuses a bad object
with the rule's message, and as a Python predicate, where `parse` refuses it with the same words (files given to
`riskbus-operator render` never meet an API server). Rules about a change (`oldSelf`) exist only as CEL.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import orjson
from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema

from .errors import InvalidObjectError

VALIDATIONS = "x-kubernetes-validations"
_API_WORDS = {"extra_forbidden": "unknown field", "missing": "required value"}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule about a value; put it into `Annotated[...]`, or into `Model.rules` for a whole object.

    Attributes:
        cel: The rule as the API server evaluates it.
        message: What to write instead; shown by the API server and by `parse`.
        holds: The same rule in Python; None for a rule about a change.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool] | None = None

    def check(self, value: Any) -> Any:  # noqa: ANN401 - a rule may be about a value of any type
        """Return the value if the rule holds, and raise pydantic's error with the rule's message if not."""
        if self.holds is not None and not self.holds(value):
            raise PydanticCustomError("rule", "{message}", {"message": self.message})
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401 - pydantic's protocol
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return with_rules(handler(schema), (self,))


def with_rules(schema: JsonSchemaValue, rules: tuple[Rule, ...]) -> JsonSchemaValue:
    """The JSON schema with the rules' CEL behind those that it has already."""
    written = [{"rule": rule.cel, "message": rule.message} for rule in rules]
    return schema | {VALIDATIONS: [*schema.get(VALIDATIONS, []), *written]}


class Model(BaseModel):
    """A frozen part of an API object.

    Unknown fields are ignored here, as the API server prunes them; `parse(strict=True)` refuses them.
    """

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _obeys_rules(self) -> Self:
        for rule in self.rules:
            rule.check(self)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        written = handler(schema)
        if cls.rules:
            resolved = handler.resolve_ref_schema(written)
            resolved |= with_rules(resolved, cls.rules)
        return written

    @classmethod
    def parse(cls, obj: object, *, strict: bool = False) -> Self:
        """The model of an object as the API server returns it or a file holds it, with the defaults applied.

        Args:
            obj: The decoded JSON or YAML.
            strict: Refuse fields that the API does not know, as `kubectl` does.

        Raises:
            InvalidObjectError: The object does not fit; its text says where, and what to write instead.
        """
        try:
            # By way of JSON, since only there "strict" means what the API server does: "yes" is no boolean.
            text = orjson.dumps(obj)
            return cls.model_validate_json(
                text, strict=True, extra="forbid" if strict else "ignore", by_alias=True, by_name=False
            )
        except ValidationError as error:
            raise InvalidObjectError(cls.__name__, [_problem(at) for at in error.errors()]) from None
        except orjson.JSONEncodeError as error:
            raise InvalidObjectError(cls.__name__, [f"no JSON object: {error}"]) from None

    def to_api(self) -> dict[str, Any]:
        """The object as JSON types with the API's field names, without what is unset."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _problem(error: ErrorDetails) -> str:
    """One line for one of pydantic's errors, in the words of the API server where pydantic's are its own."""
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error["loc"]).removeprefix(".")
    return f"{where or '.'}: {_API_WORDS.get(error['type'], error['msg'])}"
