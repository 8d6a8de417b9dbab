"""Values of which only one spelling is right, so that nothing can be altered without a trace."""

import binascii
from base64 import b64decode, b64encode
from typing import TypeGuard

from riskbus.errors import FormatError


def unbase64(text: str) -> bytes:
    """Return what a text in base64 (RFC 4648, section 4) says.

    Raises:
        FormatError: it is none, or base64 would be written otherwise.
    """
    try:
        decoded = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise FormatError(f"not base64: {text[:60]!r}") from None
    if b64encode(decoded).decode() != text:
        raise FormatError(f"not written as base64 writes it: {text[:60]!r}")
    return decoded


def is_count(value: object) -> TypeGuard[int]:
    """Whether this is a whole number from 0 to 2^63 - 1, as many records as there are numbers for."""
    return type(value) is int and 0 <= value < 1 << 63
