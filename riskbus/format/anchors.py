"""Reading checkpoints that were kept away from the volume."""

from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from riskbus.errors import FormatError
from riskbus.format import checkpoint
from riskbus.format.checkpoint import Checkpoint
from riskbus.format.output import ANCHOR


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
    lines = [line[line.index(ANCHOR) + len(ANCHOR) :] for line in content.splitlines() if ANCHOR in line]
    if lines:
        for line in lines:
            try:
                fields = orjson.loads(line)
                yield str(fields["note"]), str(fields["key"])
            except (ValueError, KeyError, TypeError):
                continue  # a line that was cut off in the middle; the others count
        return
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        if b"\n\n\xe2\x80\x94 " in content:  # the em dash of a signature line
            yield content.decode("utf-8", "replace"), ""
        return
    yield from _reports(document)


def _reports(value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        if value.get("checkpoint") and value.get("publicKey"):
            yield str(value["checkpoint"]), str(value["publicKey"])
        for item in value.values():
            yield from _reports(item)
    elif isinstance(value, list):
        for item in value:
            yield from _reports(item)
