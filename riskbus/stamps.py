"""Identifiers and times of records: UUID version 7 and RFC 3339, made once for each millisecond.

What both have in common for a millisecond is kept in a cache of one entry, which is replaced as a whole: a race between
threads only makes it twice.
"""

import os
import random
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from typing import NamedTuple


class Moment(NamedTuple):
    """What the stamps of one millisecond begin with.

    Attributes:
        millisecond: since the epoch.
        prefix: of its identifiers; eight hexadecimal digits are missing.
        text: the time as RFC 3339 in UTC with milliseconds.
    """

    millisecond: int
    prefix: str
    text: str


latest = Moment(-1, "", "")
_random = random.Random()  # noqa: S311 -- unique, not secret; of its own, as programs seed the module's
next_serial = count(_random.getrandbits(32)).__next__


def begin_again() -> None:
    """Draw anew; for the child of a fork, which must not repeat its parent's identifiers."""
    global latest, next_serial  # noqa: PLW0603 -- the cache and the counter of this process
    _random.seed()
    latest = Moment(-1, "", "")
    next_serial = count(_random.getrandbits(32)).__next__


os.register_at_fork(after_in_child=begin_again)


def moment(millisecond: int) -> Moment:
    """Return what the stamps of a millisecond begin with, and remember it as the latest. Thread-safe."""
    global latest  # noqa: PLW0603 -- a cache of one entry
    high, low = divmod(millisecond, 1 << 16)
    bits = _random.getrandbits(42)
    variant = 0x8000 | bits >> 16 & 0x3FFF
    prefix = f"{high:08x}-{low:04x}-7{bits >> 30:03x}-{variant:04x}-{bits & 0xFFFF:04x}"
    latest = Moment(millisecond, prefix, f"{_second(millisecond // 1000)}.{millisecond % 1000:03d}Z")
    return latest


def uuid7(timestamp_ns: int) -> str:
    """Return a new UUID version 7 for a time in nanoseconds since the epoch. Thread-safe.

    Source: RFC 9562, sections 5.7 and 6.2. Within a millisecond, 42 bits stay as they were drawn and 32 count up from
    a random start: that makes the identifier unique and ordered, not secret, at a fraction of the cost.
    """
    return f"{_of(timestamp_ns).prefix}{next_serial() & 0xFFFF_FFFF:08x}"


def timestamp(timestamp_ns: int) -> str:
    """Return nanoseconds since the epoch as RFC 3339 in UTC with milliseconds (cut, not rounded). Thread-safe."""
    return _of(timestamp_ns).text


def _of(timestamp_ns: int) -> Moment:
    millisecond = timestamp_ns // 1_000_000
    cached = latest
    return cached if cached.millisecond == millisecond else moment(millisecond)


@lru_cache(maxsize=8)
def _second(second: int) -> str:
    # Not strftime, which imports a module, and so fails while the interpreter ends.
    return datetime.fromtimestamp(second, UTC).replace(tzinfo=None).isoformat()
