"""Texts of anything, for records that must not be lost because of what stands in them."""

_REPR_LIMIT = 1000  # characters: enough to recognise an object, too few to matter


def safe_repr(value: object) -> str:
    """Return the text of any object, at most 1,000 characters, encodable as UTF-8, even if its repr() raises."""
    try:
        text = repr(value)[:_REPR_LIMIT]
    except Exception as error:  # noqa: BLE001 -- a foreign __repr__ may raise anything
        text = f"<{type(value).__name__}: repr() raised {type(error).__name__}>"
    return utf8(text)


def utf8(text: str) -> str:
    """Return a text that UTF-8 can encode: what it cannot is escaped."""
    return text.encode("utf-8", "backslashreplace").decode()
