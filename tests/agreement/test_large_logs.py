"""What is checked a block at a time, in one process or in several, is judged as what is checked line by line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from riskbus.cli.verify import as_document
from riskbus.format.blocks import scan
from riskbus.store.verification import verify_tree
from tests.agreement.cases import rehashed
from tests.agreement.conftest import comparable, kinds
from tests.agreement.scribe import Scribe

Change = Callable[[list[bytes]], list[bytes]]


def _log() -> Scribe:
    scribe = Scribe().open().checkpoint()
    for _ in range(7):
        scribe.events(700).checkpoint(behind=3)
    return scribe.events(400)


SCRIBE = _log()


def _same(lines: list[bytes]) -> list[bytes]:
    return lines


def _edit(lines: list[bytes]) -> list[bytes]:
    lines[3210] = lines[3210].replace(b'"HIGH"', b'"LOW"')
    return lines


def _edit_and_rehash(lines: list[bytes]) -> list[bytes]:
    return rehashed(_edit(lines))


def _edit_hash(lines: list[bytes]) -> list[bytes]:
    lines[1234] = lines[1234][:-10] + (b"A" if lines[1234][-10:-9] != b"A" else b"B") + lines[1234][-9:]
    return lines


def _remove(lines: list[bytes]) -> list[bytes]:
    del lines[2000]
    return lines


def _zeros(lines: list[bytes]) -> list[bytes]:
    lines[1500:1510] = [bytes(3000) + b"\n"]
    return lines


def _a_long_line(lines: list[bytes]) -> list[bytes]:
    return [*lines[:1700], b"x" * 1_600_000 + b"\n", *lines[1700:3000], b"y" * 1_048_576 + b"\n", *lines[3000:]]


def _a_long_rest(lines: list[bytes]) -> list[bytes]:
    return [*lines, b"z" * 2_000_000]


def _no_line_feed(lines: list[bytes]) -> list[bytes]:
    return [b"".join(lines).replace(b"\n", b" ")]


def _not_json_where_no_seal_is(lines: list[bytes]) -> list[bytes]:
    lines[-20] = lines[-20].replace(b'"priority":"HIGH"', b'"priority":HIGH')
    return rehashed(lines)


CHANGES: dict[Change, set[str]] = {
    _same: set(),
    _edit: {"altered"},
    _edit_and_rehash: {"root"},
    _edit_hash: {"altered", "root"},
    _remove: {"missing", "unproved"},
    _zeros: {"malformed", "missing", "unproved"},
    _a_long_line: {"malformed"},
    _a_long_rest: {"torn"},
    _no_line_feed: {"malformed"},
    _not_json_where_no_seal_is: {"malformed"},
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.strip("_"))
def test_blocks_and_processes_change_nothing(
    change: Change, tmp_path: Path, agree: Callable[..., dict[str, Any]]
) -> None:
    """The same findings as the second verifier's, which knows neither."""
    (tmp_path / SCRIBE.name(0, 0)).write_bytes(b"".join(change(list(SCRIBE.lines))))
    document = agree(tmp_path)
    assert kinds(document) == CHANGES[change]
    report = verify_tree(tmp_path, [], lambda _: None, jobs=2)
    parallel = json.loads(orjson.dumps(as_document(report, int(report.worst or 0))))
    assert comparable(parallel) == comparable(document)


def test_a_good_log_takes_the_fast_way() -> None:
    """Or nothing here would show anything."""
    block = scan(b"".join(SCRIBE.lines[:3000]))
    assert block is not None
    assert (block.first, block.records) == (0, 3000)
    assert len(block.tiles) == 3000 // 256


@pytest.mark.parametrize("first", [0, 5, 9, 98, 995])
def test_numbers_may_get_longer_within_a_block(first: int) -> None:
    """From 9 to 10, from 999 to 1000."""
    block = scan(b"".join(SCRIBE.lines[first : first + 10]))
    assert block is not None
    assert (block.first, block.records) == (first, 10)
    assert scan(b"".join(SCRIBE.lines[first : first + 10] + SCRIBE.lines[first + 11 : first + 12])) is None


def test_the_progress_adds_up_to_the_size(tmp_path: Path) -> None:
    """So that the bar ends where it should."""
    content = b"".join(SCRIBE.lines)
    (tmp_path / SCRIBE.name(0, 0)).write_bytes(content)
    for jobs in (1, 2):
        steps: list[int] = []
        verify_tree(tmp_path, [], steps.append, jobs=jobs)
        assert sum(steps) == len(content)
        assert len(steps) > 1
