"""What a file of anchors may be: both verifiers take the same, and refuse the same."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.agreement.scribe import Scribe, finished

Agree = Callable[..., dict[str, Any]]

SCRIBE = finished()
KEY, NOTE = SCRIBE.key, SCRIBE.notes[-1]
REPORT = json.dumps({"log": {"checkpoint": NOTE, "publicKey": KEY}}).encode()


def line(**fields: object) -> bytes:
    """Return a line of a container's output."""
    return b"AUDIT_CHECKPOINT " + json.dumps({"key": KEY, "note": NOTE} | fields).encode() + b"\n"


def ending(more: bytes) -> bytes:
    """Return such a line with one more member, which nobody needs."""
    return line().removesuffix(b"}\n") + b',"x":' + more + b"}\n"


TAKEN = {
    "line": line(),
    "line-behind-a-time-stamp": b"2026-01-15T14:30:25Z " + line(),
    "line-behind-what-is-no-text": b"\xff\xfe " + line(),
    "line-behind-a-carriage-return": b"loading\r" + line(),
    "line-with-a-carriage-return": line().replace(b"\n", b"\r\n"),
    "line-without-a-kept-key": line(key=""),
    "line-beside-one-that-was-cut-off": line()[:100] + b"\n" + line(),
    "line-beside-one-with-another-member-that-is-no-json": ending(b"NaN") + line(),
    "report": REPORT,
    "report-deep-within": b"[" * 498 + REPORT + b"]" * 498,
    "note": NOTE.encode(),
}
REFUSED = {
    "line-without-a-key": line().replace(b'"key"', b'"kex"'),
    "line-with-no-key": line(key=None),
    "line-with-a-key-that-is-no-text": line(key=0),
    "line-with-a-note-that-is-no-text": line(note=[NOTE]),
    "line-with-a-key-of-another-name": line(key=KEY.replace("/", "-")),
    "line-and-more": line().removesuffix(b"\n") + b" x\n",
    "line-between-carriage-returns": b"a\r" + line().removesuffix(b"\n") + b"\rb",
    "line-with-a-number-that-is-none": ending(b"NaN"),
    "line-with-a-number-that-is-infinite": ending(b"1e999"),
    "line-with-half-of-a-surrogate-pair": ending(rb'"\ud800"'),
    "line-with-what-is-not-utf-8": ending(b'"\xff"'),
    "report-with-a-number-that-is-none": REPORT.replace(b"{", b'{"x":NaN,', 1),
    "report-with-what-is-not-utf-8": REPORT.replace(b"{", b'{"x":"\xff",', 1),
    "report-too-deep-within": b"[" * 499 + REPORT + b"]" * 499,
    "report-deeper-than-a-program-may-call-itself": b"[" * 1015 + REPORT + b"]" * 1015,
    "mark-without-an-object-and-a-report": REPORT.replace(b"{", b'{"AUDIT_CHECKPOINT {":0,', 1),
    "note-without-its-last-line-feed": NOTE.encode().removesuffix(b"\n"),
    "note-and-more": NOTE.encode() + b"\0",
    "note-twice": NOTE.encode() + b"\n" + NOTE.encode(),
    "note-that-is-not-utf-8": NOTE.encode().replace(b"\n\n", b"\n\xff\n\n"),
}


def write(directory: Path) -> None:
    """Write the log of which these are."""
    (directory / SCRIBE.name(0, 0)).write_bytes(b"".join(SCRIBE.lines))


@pytest.mark.parametrize("content", TAKEN.values(), ids=TAKEN)
def test_what_is_an_anchor_confirms(tmp_path: Path, agree: Agree, content: bytes) -> None:
    """However the output was collected."""
    write(tmp_path)
    document = agree(tmp_path, content)
    assert document["exit_code"] == 0
    assert document["streams"][0]["verdicts"]["anchoring"] == "fine"


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_what_is_no_anchor_is_refused(tmp_path: Path, agree: Agree, content: bytes) -> None:
    """A file that one verifier takes and the other does not is no proof; and one that is broken accuses nobody."""
    write(tmp_path)
    assert agree(tmp_path, content)["exit_code"] == 64


NOTES: dict[str, tuple[Callable[[str], str], str]] = {
    "empty-line-in-its-text": (lambda note: note.replace("\n\n", "\n\nmore\n\n"), "seal"),
    "no-line-feed-at-its-end": (lambda note: note.removesuffix("\n"), "seal"),
    "no-signature-at-all": (lambda note: note.partition("\u2014")[0], "seal"),
    "line-that-is-no-signature": (lambda note: note + "garbage\n", "signature"),
    "signature-without-a-key-identifier": (lambda note: note + "\u2014 witness AAAA\n", "signature"),
    "signature-that-is-no-base64": (lambda note: note + "\u2014 witness AAA\n", "signature"),
    "signature-of-a-name-with-a-plus": (lambda note: note + "\u2014 wit+ness AAAAAAAA\n", "signature"),
    "signature-with-a-line-separator": (lambda note: note + "\u2014 witness AAAAAAAA\u2028\n", "signature"),
}


@pytest.mark.parametrize(("change", "kind"), NOTES.values(), ids=NOTES)
def test_a_seal_that_is_no_signed_note_is_seen(
    tmp_path: Path, agree: Agree, change: Callable[[str], str], kind: str
) -> None:
    """C2SP says what a signed note is; a good signature in it does not make up for the rest."""
    scribe = Scribe().open().checkpoint().events(2)
    scribe.checkpoint(note=change(scribe.sign(len(scribe.lines))))
    (tmp_path / scribe.name(0, 0)).write_bytes(b"".join(scribe.lines))
    document = agree(tmp_path)
    assert document["exit_code"] == 1
    assert {finding["kind"] for finding in document["streams"][0]["findings"]} == {kind}


@pytest.mark.parametrize("stream", ["a+b", "a b", "a\tb", "a\u2028b", "a\x85b"])
def test_a_key_whose_name_cannot_be_told_from_the_rest_is_none(tmp_path: Path, agree: Agree, stream: str) -> None:
    """No writer has such a stream; a forger may write what he likes, and gets no seal for it."""
    scribe = Scribe(stream=stream).open().checkpoint().events(2).close()
    (tmp_path / scribe.name(0, 0)).write_bytes(b"".join(scribe.lines))
    document = agree(tmp_path)
    assert document["exit_code"] == 3
    assert {finding["kind"] for finding in document["streams"][0]["findings"]} == {"keyless"}
    assert agree(tmp_path, scribe.anchors())["exit_code"] == 64
