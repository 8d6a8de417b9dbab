"""Sizes like `50Gi` and durations like `24h`: what the API accepts, as numbers.

Both are a subset of what Kubernetes and Go accept: a whole number and one unit. Fractions, exponents and the
milli suffix (`50m` is a twentieth of a byte) are left out, because in a policy they are mistakes.
"""

from __future__ import annotations

import re

SIZE_PATTERN = "^[1-9][0-9]{0,14}([kMGTP]|[KMGTP]i)?$"
DURATION_PATTERN = "^[1-9][0-9]{0,8}[smh]$"

_SIZE_UNITS: dict[str, int] = {"": 1} | {
    f"{letter}{binary}": int(base**power)
    for binary, base in (("", 1000), ("i", 1024))
    for power, letter in enumerate("KMGTP", start=1)
}
_SIZE_UNITS["k"] = 1000  # SI's own letter for a thousand; Kubernetes knows no decimal K
del _SIZE_UNITS["K"]
_DURATION_UNITS = {"s": 1, "m": 60, "h": 3600}


def size_in_bytes(text: str) -> int:
    """Bytes of a size like `50Gi`, `500M` or `1048576`.

    Raises:
        ValueError: The text is not such a size.
    """
    if not re.fullmatch(SIZE_PATTERN, text):
        raise ValueError(f"{text!r} is not a size: write a whole number with a unit, like 50Gi")
    number = text.rstrip("kKMGTPi")
    return int(number) * _SIZE_UNITS[text[len(number) :]]


def duration_in_seconds(text: str) -> int:
    """Seconds of a duration like `60s`, `30m` or `24h`.

    Raises:
        ValueError: The text is not such a duration.
    """
    if not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is not a duration: write a whole number with s, m or h, like 24h")
    return int(text[:-1]) * _DURATION_UNITS[text[-1]]
