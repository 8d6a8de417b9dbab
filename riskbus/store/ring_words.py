"""What the word of a slot says: 8 bytes that make the record before them an accepted one.

word = (seq + 1) << 24 | kind << 20 | length          0: never used
"""

from typing import NamedTuple

ROOM = 1016
"""Bytes of a body that have room with its word, in a slot and its annex or beside the ring."""
UNIT = 1 << 24
"""What the word of a slot grows by from number to number."""
SHIFT = UNIT.bit_length() - 1
LONG = 8  # beside a kind: the body is in a file

_KIND_SHIFT = 20
_LENGTH_MASK = (1 << _KIND_SHIFT) - 1
_KIND_MASK = 0xF


class Held(NamedTuple):
    """A record in a ring.

    Attributes:
        seq: its number.
        body: its bytes but for the number.
        kind: as it was staged.
    """

    seq: int
    body: bytes
    kind: int


def mark(kind: int) -> int:
    """Return what the word of a slot says beside number and length."""
    return UNIT + (kind << _KIND_SHIFT)  # number 0 has the word of 1, as 0 says that the slot was never used


def seq_of(word: int) -> int:
    """Return the number in a word; -1 of one that was never used."""
    return (word >> SHIFT) - 1


def kind_of(word: int) -> int:
    """Return the kind in a word, with or without `LONG`."""
    return word >> _KIND_SHIFT & _KIND_MASK


def length_of(word: int) -> int:
    """Return the number of bytes in the slot."""
    return word & _LENGTH_MASK
