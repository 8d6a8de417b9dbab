"""What an auditor asks of which kind of event, and what of it an event lacks. Pure.

RTS 6 is Commission Delegated Regulation (EU) 2017/589. These fields help you meet it; they prove nothing by themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass

METADATA_FIELDS = {
    "algorithm": "The trading algorithm, with its version.",
    "trader": "The trader who is responsible for it.",
    "desk": "The trading desk that is responsible for it.",
    "client": "The client on whose behalf it trades, where there is one.",
    "actor": "Who acted: a person's identifier, or the component that acted by itself.",
    "approved_by": "The designated person who approved it.",
    "reason": "Why, in words.",
    "rule_triggered": "The control, limit or rule that led to it.",
}
"""Fields of an event's `metadata` and what they hold."""

DATA_FIELDS = {
    "parameter": "Name of the limit, parameter or setting that changed or was overridden.",
    "prior_value": "Its value before.",
    "new_value": "Its value afterwards.",
    "limit": "The limit that applied.",
    "observed": "The figure that was compared with it.",
    "unit": "What both are counted in, for example EUR, orders/s or ms.",
    "order_id": "The order that was refused.",
}
"""Fields of an event's `data` and what they hold."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What an auditor asks of one kind of event.

    Attributes:
        rule: The rule that makes them ask.
        fields: The fields that must be there; of those in one tuple any one is enough.
    """

    rule: str
    fields: tuple[tuple[str, ...], ...]


_WHOSE = ("trader", "desk", "client")
_CHANGE = Requirement(
    "RTS 6 Art. 5(7)", (("parameter",), ("prior_value",), ("new_value",), ("actor",), ("approved_by",))
)

REQUIREMENTS: Mapping[str, Requirement] = {
    "KILL_SWITCH": Requirement("RTS 6 Art. 12(3)", (("algorithm",), _WHOSE, ("rule_triggered", "reason"))),
    "OVERRIDE": Requirement(
        "RTS 6 Art. 15(6)",
        (("algorithm",), _WHOSE, ("actor",), ("approved_by",), ("reason",), ("prior_value",), ("new_value",)),
    ),
    "RE_ENABLE": Requirement("RTS 6 Art. 15(3)", (("algorithm",), ("actor",), ("reason",))),
    "PARAMETER_CHANGE": _CHANGE,
    "CONFIGURATION_CHANGE": _CHANGE,
}
"""What is asked of which kind of event, by the name of the kind."""


def missing(event_type: str, data: object, metadata: object) -> tuple[str, ...]:
    """Return what an event of a kind lacks of its requirement, in words. Raises nothing, whatever the event holds.

    A field counts wherever it stands, in `data` or in `metadata`, unless it is None or blank.
    """
    requirement = REQUIREMENTS.get(event_type)
    if requirement is None:
        return ()
    stated = {*_stated(data), *_stated(metadata)}
    return tuple(" or ".join(any_of) for any_of in requirement.fields if stated.isdisjoint(any_of))


def _stated(payload: object) -> set[object]:
    if not isinstance(payload, dict):
        return set()
    return {key for key, value in payload.items() if not _blank(value)}


def _blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
