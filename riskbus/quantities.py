"""Which numbers are taken: whole ones, and lengths of time that the clocks and waits of the platform can count."""

from operator import index
from typing import SupportsFloat, SupportsIndex

from riskbus.errors import SettingsError

LONGEST_SECONDS = 36525 * 86400
"""A hundred years: forever for a process, and as nanoseconds since its start still a number of 63 bits."""

_NO_NUMBER = float("nan")  # neither above nor below anything


def is_whole(value: object, least: int, most: float = float("inf")) -> bool:
    """Whether this is a whole number from the one to the other, not a float that happens to be."""
    return isinstance(value, SupportsIndex) and least <= index(value) <= most


def is_duration(value: object, most: float = LONGEST_SECONDS) -> bool:
    """Whether this is a positive number of at most so much."""
    return 0 < _number(value) <= most


def timeout_seconds(timeout: object) -> float:
    """Return how many seconds to wait: none for a negative number, a hundred years for all above, infinity included.

    Raises:
        SettingsError: It is no number.
    """
    seconds = _number(timeout)
    if seconds != seconds:  # noqa: PLR0124 -- what is no number differs from itself
        raise SettingsError(f"timeout is {timeout!r}; give a number of seconds")
    return min(max(seconds, 0.0), LONGEST_SECONDS)


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, SupportsFloat) else _NO_NUMBER
    except (OverflowError, ValueError):  # an int of more digits than a float has, a Decimal that signals
        return _NO_NUMBER
