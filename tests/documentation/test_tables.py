"""Tables in the documentation are what the code says."""

from pathlib import Path

import pytest

from docs.tables import TABLES, page, pages
from riskbus import EventType

PAGES = list(pages())


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_says_what_the_code_says(path: Path) -> None:
    """A table that someone forgot to make again misleads for years."""
    text = path.read_text()
    assert text == page(text), "run: make generate"


def test_every_table_is_on_a_page() -> None:
    """Otherwise the test above looks at nothing."""
    texts = "".join(path.read_text() for path in PAGES)
    assert [name for name in TABLES if f"<!-- {name} -->\n" not in texts] == []


def test_every_kind_of_event_is_described() -> None:
    """A kind that nobody can tell from its neighbour is used wrongly."""
    described = TABLES["kinds"]()
    assert [kind for kind in EventType if f"| `{kind}` | " not in described] == []
