"""Brings the tables of these pages up to date with the code. Run `python docs/tables.py`.

A page holds a table between `<!-- name -->` and `<!-- /name -->`.
"""  # noqa: INP001 - a program beside the pages, not a package

import ast
import inspect
import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

from docs.commands import commands
from riskbus.bus_settings import BusSettings
from riskbus.completeness import DATA_FIELDS, METADATA_FIELDS, REQUIREMENTS
from riskbus.configuration import CHANGEABLE, WHY_NOT
from riskbus.events import EventType
from riskbus.settings import AuditSettings

DOCS = Path(__file__).parent


def kinds() -> str:
    """Kinds of event with the texts beside them in the code."""
    body = ast.parse(inspect.getsource(EventType)).body[0].body  # type: ignore[attr-defined]  # it is a class
    rows = []
    for name, text in pairwise(body):
        if isinstance(name, ast.Assign) and isinstance(name.targets[0], ast.Name):
            rows.append((f"`{name.targets[0].id}`", inspect.cleandoc(text.value.value).replace("\n", " ")))
    return _table(("kind", "what happened, and which rule asks for it"), rows)


def fields() -> str:
    """Fields that have one name everywhere."""
    rows = [(f"`metadata.{name}`", text) for name, text in METADATA_FIELDS.items()]
    rows += [(f"`data.{name}`", text) for name, text in DATA_FIELDS.items()]
    return _table(("field", "what it holds"), rows)


def requirements() -> str:
    """What is asked of which kind."""
    rows = [
        (f"`{kind}`", ", ".join(" or ".join(f"`{name}`" for name in any_of) for any_of in asked.fields), asked.rule)
        for kind, asked in REQUIREMENTS.items()
    ]
    return _table(("kind", "what it must say", "who asks"), rows)


def settings() -> str:
    """Every setting of a bus and its log."""
    texts = _attributes(AuditSettings) | _attributes(BusSettings)
    defaults = BusSettings().model_dump(mode="json")
    rows = [
        (f"`{variable}`", f"`{name}`", _plain(defaults[name]), "yes" if name in CHANGEABLE else "", texts[name])
        for name, variable in BusSettings.variables().items()
    ]
    return _table(("variable", "argument or key", "default", "at run time", "what it does"), rows)


def fixed() -> str:
    """Why the rest cannot change."""
    return _table(
        ("setting", "why it cannot change at run time"), [(f"`{name}`", why) for name, why in WHY_NOT.items()]
    )


TABLES: dict[str, Callable[[], str]] = {
    "kinds": kinds, "fields": fields, "requirements": requirements, "settings": settings, "fixed": fixed,
    "commands": commands,
}  # fmt: skip


def page(text: str) -> str:
    """Return a page with its tables made anew."""
    for name, table in TABLES.items():
        pattern = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)
        text = pattern.sub(lambda _, made=table: made(), text)
    return text


def pages() -> Iterable[Path]:
    """Return the pages that hold tables."""
    return (
        path for path in sorted(DOCS.glob("*.md")) if any(f"<!-- {name} -->" in path.read_text() for name in TABLES)
    )


def _attributes(model: type) -> dict[str, str]:
    """Return the texts of a docstring's section `Attributes`, without the variables' names at their ends."""
    _, _, section = inspect.cleandoc(model.__doc__ or "").partition("Attributes:\n")
    entries = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", section, re.MULTILINE)
    return {name: re.sub(r"\s*`[A-Z_]+`\.$", "", re.sub(r"\s*\n\s*", " ", text)) for name, text in entries}


def _plain(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"`{value}`" if value not in ({}, "", None) else ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    for path in pages():
        path.write_text(page(path.read_text()))
