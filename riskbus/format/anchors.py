"""Reading checkpoints that were kept away from the volume."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from riskbus.errors import FormatError
from riskbus.format import checkpoint
from riskbus.format.checkpoint import Checkpoint
from riskbus.format.output import ANCHOR
from riskbus.format.record import load_json

_MARK = ANCHOR + b"{"


@dataclass(frozen=True, slots=True)
class Anchor:
    """A checkpoint from outside.

    Attributes:
        checkpoint: what it states.
        key: the verifier key that was kept with it, "" if there was none.
        source: the file it was read from.
    """

    checkpoint: Checkpoint
    key: str
    source: str


def parse_anchors(content: bytes, source: str) -> list[Anchor]:
    """Read every anchor in a file: AUDIT_CHECKPOINT lines, RiskAuditReports as JSON, or one signed note.

    Raises:
        FormatError: there is none, or one is not signed by the key beside it.
    """
    anchors = [_anchor(note, key, source) for note, key in _pairs(content)]
    if not anchors:
        raise FormatError(
            f"{source} holds no anchor; use the output of the container (its AUDIT_CHECKPOINT lines), "
            "`kubectl get riskauditreports -o json`, or a signed note"
        )
    return anchors


def _anchor(note: str, key: str, source: str) -> Anchor:
    try:
        parsed = checkpoint.verify(note, key) if key else checkpoint.parse(note)
    except FormatError as error:
        raise FormatError(f"{source} holds an anchor that is not valid: {error}") from None
    return Anchor(parsed, key, source)


def _pairs(content: bytes) -> Iterator[tuple[str, str]]:
    lines = [line[line.index(_MARK) + len(ANCHOR) :] for line in content.split(b"\n") if _MARK in line]
    if lines:
        for line in lines:
            with suppress(FormatError):  # a line that was cut off in the middle; the others count
                fields = load_json(line)
                note, key = (fields.get("note"), fields.get("key")) if isinstance(fields, dict) else (None, None)
                if isinstance(note, str) and isinstance(key, str):
                    yield note, key
        return
    try:
        document = load_json(content)
    except FormatError:
        if b"\n\n\xe2\x80\x94 " in content:  # the em dash of a signature line
            with suppress(UnicodeDecodeError):
                yield content.decode(), ""
        return
    yield from _reports(document)


def _reports(document: object) -> Iterator[tuple[str, str]]:
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if value.get("checkpoint") and value.get("publicKey"):
                yield str(value["checkpoint"]), str(value["publicKey"])
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
