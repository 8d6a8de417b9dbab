"""Every promise names tests, and they exist."""

import re

import pytest

from docs.tables import DOCS

ROOT = DOCS.parent


def _rows() -> list[list[str]]:
    """Return promise, limits and what shows it, of each line of each table."""
    rows = [
        line.strip("| ").split(" | ") for line in (DOCS / "guarantees.md").read_text().splitlines() if line[:1] == "|"
    ]
    return [row for row in rows if len(row) > 1 and row[0] not in {"promise", "---|---|---"}]


def _named(row: list[str]) -> list[str]:
    """Return the tests that a row names: a path, or path::function; `…` stands for the path before it."""
    named: list[str] = []
    for name in re.findall(r"`((?:tests/|…::)[^`]*)`", row[-1]):
        named.append(name.replace("…", named[-1].partition("::")[0]) if name.startswith("…") else name)
    return named


ROWS = _rows()


def test_the_page_was_read() -> None:
    """Else nothing below looks at anything."""
    assert len(ROWS) > 50


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_a_promise_names_tests_that_exist(row: list[str]) -> None:
    """A test that was renamed leaves a promise that nobody keeps."""
    assert len(row) in {2, 3}
    assert _named(row), "no test is named"
    for name in _named(row):
        path, _, function = name.partition("::")
        assert (ROOT / path).exists(), path
        if function:
            assert re.search(rf"^(async )?def {function}\(", (ROOT / path).read_text(), re.MULTILINE), name
        elif (ROOT / path).is_dir():
            assert list((ROOT / path).glob("test_*.py")), path


def test_every_make_target_that_the_page_names_exists() -> None:
    """They are the tests that take long."""
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make ([a-z-]+)`", (DOCS / "guarantees.md").read_text()):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
