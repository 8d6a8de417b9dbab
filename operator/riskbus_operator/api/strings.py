"""Strings and numbers with a meaning, each with the rule that a value of it keeps."""

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from .model import Rule
from .quantity import DURATION_PATTERN, SIZE_PATTERN

NOT_YET = "not supported yet in v0.1"
SET = {"x-kubernetes-list-type": "set"}  # no entry twice; server-side apply owns each entry by itself


def matching(pattern: str, message: str) -> Rule:
    """The rule that the whole string matches the pattern, written so that RE2 and Python read it alike."""
    return Rule(cel=f"self.matches(r'{pattern}')", message=message, holds=_full_match(pattern))


def _full_match(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern.removeprefix("^").removesuffix("$"))
    return lambda text: compiled.fullmatch(text) is not None


DnsLabel = Annotated[
    str,
    Field(max_length=63),
    matching(
        "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        "must be a DNS label: lower-case letters, digits and '-', like 'jules'",
    ),
]
DnsName = Annotated[
    str,
    Field(max_length=253),
    matching(
        "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        "must be the name of an object: lower-case letters, digits, '-' and '.', like 'intraday-jules'",
    ),
]
Size = Annotated[
    str,
    Field(max_length=20),
    matching(SIZE_PATTERN, "must be a whole number above 0 with a unit, like 50Gi or 500M"),
]
Duration = Annotated[
    str,
    Field(max_length=12),
    matching(DURATION_PATTERN, "must be a whole number above 0 with the unit s, m or h, like 60s or 24h"),
]
Percent = Annotated[int, Field(ge=1, le=99)]
LabelValue = Annotated[
    str,
    Field(max_length=63),
    matching(
        "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
        "must be a label's value: letters, digits, '-', '_' and '.', at most 63 of them",
    ),
]
_LABEL_KEY = "^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
LabelKey = Annotated[
    str, Field(max_length=317), matching(_LABEL_KEY, "must be a label's key, like app or example.com/team")
]
Labels = Annotated[
    dict[str, LabelValue],
    Field(max_length=64),
    Rule(
        cel=f"self.all(key, key.matches(r'{_LABEL_KEY}'))",
        message="every key must be a label's key, like app or example.com/team",
        holds=lambda labels: all(map(_full_match(_LABEL_KEY), labels)),
    ),
]
