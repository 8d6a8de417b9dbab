"""Amounts of money without the surprises of floats."""

from decimal import Context, Decimal

from riskbus.errors import SettingsError

Amount = int | Decimal
"""An amount, exact: a whole number (of cents, for example) or a Decimal."""

_EXACT = Context(prec=100)  # not the thread's: a program that rounds to six digits must not round these


def exact(name: str, value: Amount) -> Decimal:
    """Return an amount as a Decimal.

    Raises:
        SettingsError: It is a float, which is not exact, or no number at all.
    """
    if type(value) not in (int, Decimal) or not Decimal(value).is_finite():  # a bool is an int, and no amount
        raise SettingsError(f"{name} is {value!r}: give an int or a Decimal that is a number; a float is not exact")
    return Decimal(value)


def less(minuend: Decimal, subtrahend: Decimal) -> Decimal:
    """Return the difference of two amounts, exact up to 100 digits."""
    return _EXACT.subtract(minuend, subtrahend)


def half(amount: Decimal) -> Decimal:
    """Return half of an amount, exact up to 100 digits."""
    return _EXACT.divide(amount, Decimal(2))
