"""What a record must be, where no seal vouches for it: both verifiers draw the line in the same place."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.agreement.conftest import kinds
from tests.agreement.scribe import Scribe

Agree = Callable[..., dict[str, Any]]

NO_RECORDS = {
    "priority-that-is-a-list": (b'"priority":"NORMAL"', b'"priority":[]'),
    "priority-that-is-an-object": (b'"priority":"NORMAL"', b'"priority":{}'),
    "source-that-is-a-list": (b'"source":"PositionLimits"', b'"source":[]'),
    "half-of-a-surrogate-pair": (b'"data":{}', rb'"data":"\ud800"'),
    "half-of-a-surrogate-pair-in-a-name": (b'"data":{}', rb'"data":{"\uDFFF":1}'),
    "half-of-a-surrogate-pair-in-what-does-not-count": (b'"data":{}', rb'"data":{"a":"\ud800","a":1}'),
    "halves-in-the-wrong-order": (b'"data":{}', rb'"data":"\udc00\ud800"'),
    "number-that-is-infinite": (b'"data":{}', b'"data":[-1e999]'),
    "whole-number-that-is-infinite": (b'"data":{}', b'"data":1' + 400 * b"0"),
    "not-a-number": (b'"data":{}', b'"data":NaN'),
    "nested-too-deeply": (b'"data":{}', b'"data":' + 500 * b"[" + 500 * b"]"),
    "nested-too-deeply-in-what-does-not-count": (
        b'"data":{}',
        b'"data":' + 499 * b"[" + b'{"a":{},"a":1}' + 499 * b"]",
    ),
    "nested-deeper-than-any-parser-takes": (b'"data":{}', b'"data":' + 5000 * b"[" + 5000 * b"]"),
    "time-below-64-bits": (b'"timestamp_ns":1', b'"timestamp_ns":-11'),
    "time-with-a-fraction": (b'"timestamp_ns":', b'"timestamp_ns":1.'),
}
RECORDS = {
    "both-halves-of-a-surrogate-pair": (b'"data":{}', rb'"data":"\ud83d\uDE00"'),
    "backslash-before-what-looks-like-a-half": (b'"data":{}', rb'"data":"\\ud800"'),
    "large-numbers": (b'"data":{}', b'"data":[1e308,-1' + 300 * b"0" + b"]"),
    "nested-as-deeply-as-may-be": (b'"data":{}', b'"data":' + 499 * b"[" + 499 * b"]"),
    "brackets-in-texts": (b'"data":{}', rb'"data":"\"' + 5000 * b"[" + rb'\\"'),
    "time-before-1970": (b'"timestamp_ns":', b'"timestamp_ns":-'),
    "time-in-other-characters": (b'"ts":"2', rb'"ts":"\u0032'),
    "time-that-is-empty": (b'"ts":"2026-01-15T14:30:25.126Z"', b'"ts":""'),
}


def write(directory: Path, change: tuple[bytes, bytes], kind: str) -> Scribe:
    """Write a log that ends with a changed record, and no seal."""
    scribe = Scribe().open().checkpoint()
    before, after = change
    record = scribe.record(kind, {}, source="PositionLimits")
    assert before in record
    scribe.add(record.replace(before, after))
    (directory / scribe.name(0, 0)).write_bytes(b"".join(scribe.lines))
    return scribe


@pytest.mark.parametrize("kind", ["OVERRIDE", "AUDIT_CONFIG", "AUDIT_CLOSE"])
@pytest.mark.parametrize("change", NO_RECORDS.values(), ids=NO_RECORDS)
def test_what_is_no_record_is_damage(tmp_path: Path, agree: Agree, change: tuple[bytes, bytes], kind: str) -> None:
    """A good hash makes no record; and what one parser takes and another does not is nobody's evidence."""
    write(tmp_path, change, kind)
    document = agree(tmp_path)
    assert (document["exit_code"], kinds(document)) == (2, {"malformed"})


@pytest.mark.parametrize("change", RECORDS.values(), ids=RECORDS)
def test_what_is_a_record_is_fine(tmp_path: Path, agree: Agree, change: tuple[bytes, bytes]) -> None:
    """However strange: the next program reads it too."""
    write(tmp_path, change, "OVERRIDE")
    assert agree(tmp_path)["exit_code"] == 0
