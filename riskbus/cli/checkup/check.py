"""What a check-up says."""

from enum import StrEnum
from typing import NamedTuple


class Result(StrEnum):
    """How one thing was found."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


class Check(NamedTuple):
    """One answer.

    Attributes:
        name: what was looked at.
        result: OK, WARN (records are taken, with less safety), FAIL (records would be lost or refused).
        message: one sentence: what was found and, unless it is OK, what to do.
    """

    name: str
    result: Result
    message: str
