"""Identifiers and times of records: UUID version 7 and RFC 3339, made once for each millisecond.

What both have in common for a millisecond is kept in a cache of one entry, which is replaced as a whole: a race between
threads only makes it twice.
"""

import os
import random
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain, repeat
from typing import NamedTuple

from riskbus.native import hot

_MILLISECOND = 1_000_000  # nanoseconds
_LEAST, _BEYOND = 10**11, 10**12  # numbers of twelve decimal digits, which read as hexadecimal digits, too


class Moment(NamedTuple):
    """What the stamps of one millisecond begin with.

    Attributes:
        begin_ns: when it begins, in nanoseconds since the epoch.
        end_ns: when the next one begins.
        prefix: of its identifiers; twelve digits are missing.
        text: the time as RFC 3339 in UTC with milliseconds.
    """

    begin_ns: int
    end_ns: int
    prefix: str
    text: str


_latest = Moment(0, 0, "", "")
_random = random.Random()  # noqa: S311 -- unique, not secret; of its own, as programs seed the module's


def begin_again() -> None:
    """Draw anew; for the child of a fork, which must not repeat its parent's identifiers."""
    global _latest, next_serial  # noqa: PLW0603 -- the cache and the counter of this process
    _random.seed()
    _latest = Moment(0, 0, "", "")
    second.cache_clear()
    next_serial = _numbers()


def _moment(timestamp_ns: int) -> Moment:
    """Return what the stamps of a time's millisecond begin with, and remember it as the latest. Thread-safe."""
    global _latest  # noqa: PLW0603 -- a cache of one entry
    millisecond = timestamp_ns // _MILLISECOND
    text, rest = second(millisecond // 1000)
    begin_ns = millisecond * _MILLISECOND
    _latest = Moment(
        begin_ns,
        begin_ns + _MILLISECOND,
        f"{millisecond >> 16:08x}-{millisecond & 0xFFFF:04x}{rest}",
        f"{text}.{millisecond % 1000:03d}Z",
    )
    return _latest


def uuid7(timestamp_ns: int) -> str:
    """Return a new UUID version 7 for a time in nanoseconds since the epoch. Thread-safe.

    Source: RFC 9562, sections 5.7 and 6.2. Within a second, 26 bits stay as they were drawn and the last twelve
    digits count up, in decimal, from a random start: that makes the identifier unique and ordered, not secret, at a
    fraction of the cost.
    """
    return f"{_of(timestamp_ns).prefix}{next_serial()}"


def timestamp(timestamp_ns: int) -> str:
    """Return nanoseconds since the epoch as RFC 3339 in UTC with milliseconds (cut, not rounded). Thread-safe."""
    return _of(timestamp_ns).text


def _of(timestamp_ns: int) -> Moment:
    cached = _latest
    return cached if cached.begin_ns <= timestamp_ns < cached.end_ns else _moment(timestamp_ns)


@lru_cache(maxsize=8)
def second(number: int) -> tuple[str, str]:
    """Return the text of a second, and what its identifiers have after the time: version, variant, random bits."""
    bits = _random.getrandbits(26)
    # Not strftime, which imports a module, and so fails while the interpreter ends.
    text = datetime.fromtimestamp(number, UTC).replace(tzinfo=None).isoformat()
    return text, f"-7{bits >> 14:03x}-{0x8000 | bits & 0x3FFF:04x}-"


def _numbers() -> Callable[[], int]:
    """Return what counts up from a random start, and begins again after days of full speed."""
    start = _random.randrange(_LEAST, _BEYOND // 2)
    if hot is not None:
        hot.begin_stamps(second, start, _LEAST, _BEYOND)
        count: Callable[[], int] = hot.next_serial
        return count
    return chain(range(start, _BEYOND), chain.from_iterable(repeat(range(_LEAST, _BEYOND)))).__next__


next_serial = _numbers()
os.register_at_fork(after_in_child=begin_again)
