"""One record as one line for people."""

import os
import sys
from typing import Any

import orjson

from riskbus.format.selection import Entry

_VALUE_LIMIT = 80  # characters of one value; --json shows everything
_RESET = "\033[0m"
_DIM = "\033[2m"
_COLOURS = {"CRITICAL": "\033[1;31m", "HIGH": "\033[33m", "LOW": _DIM}


class Renderer:
    """Makes aligned lines; columns grow with what they have to hold. Coloured on request."""

    def __init__(self, *, coloured: bool) -> None:
        self._coloured = coloured
        self._widths = {"event_type": 14, "source": 10}

    def render(self, entry: Entry) -> str:
        """Return the line of a record, without a line feed; whatever it holds cannot steer the terminal."""
        fields = entry.fields
        priority = plain(fields["priority"])
        columns = [plain(fields["ts"]), f"{priority:<8}", self._column(fields, "event_type")]
        circumstances = _pairs(fields["metadata"])
        columns += [self._column(fields, "source"), _pairs(fields["data"]), circumstances and f"[{circumstances}]"]
        line = "  ".join(column for column in columns if column).rstrip()
        colour = _COLOURS.get(priority, "") if self._coloured else ""
        return f"{colour}{line}{_RESET}" if colour else line

    def _column(self, fields: dict[str, Any], name: str) -> str:
        text = plain(fields[name])
        self._widths[name] = max(self._widths[name], min(len(text), 40))
        return f"{text:<{self._widths[name]}}"


def colour_wanted() -> bool:
    """Whether standard output is a terminal that shows colours. Source: no-color.org."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _pairs(payload: object) -> str:
    if isinstance(payload, dict):
        return " ".join(f"{plain(name)}={_value(value)}" for name, value in payload.items())
    return "" if payload is None else _value(payload)


def _value(value: object) -> str:
    if isinstance(value, str):
        text = plain(value)
        text = text if text and not set(text) & set(' ="') else f'"{text}"'
    else:
        text = plain(orjson.dumps(value).decode())
    return text if len(text) <= _VALUE_LIMIT else f"{text[: _VALUE_LIMIT - 1]}…"


def plain(value: object) -> str:
    """Return a value as text in which nothing can steer a terminal or begin a line."""
    text = str(value)
    return text if text.isprintable() else "".join(map(_printable, text))


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
