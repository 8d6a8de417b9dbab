"""Lines for standard output: emergency copies of records, and anchors.

A line, with its line feed, is at most 4,096 bytes: what a pipe takes in one piece (PIPE_BUF on Linux), so lines of
several writers never mix.
"""

from base64 import b64encode

import orjson

from riskbus.format.checkpoint import Checkpoint
from riskbus.format.record import leaf_hash

EMERGENCY = b"AUDIT_EMERGENCY "
ANCHOR = b"AUDIT_CHECKPOINT "
MAX_LINE_BYTES = 4096
_CHUNK = 2400  # bytes of a record a line; their base64 and the fields around them stay below the limit


def emergency_lines(incarnation: str, seq: int, record: bytes) -> list[bytes]:
    """Return the lines that carry a record which is not durable; several if it is long."""
    line = EMERGENCY + _emergency(incarnation, seq, {"record": record.decode()})
    if len(line) <= MAX_LINE_BYTES:
        return [line]
    chunks = [record[start : start + _CHUNK] for start in range(0, len(record), _CHUNK)]
    whole = {"hash": b64encode(leaf_hash(record)).decode(), "parts": len(chunks)}
    return [
        EMERGENCY + _emergency(incarnation, seq, {**whole, "part": number, "record_base64": b64encode(chunk).decode()})
        for number, chunk in enumerate(chunks, 1)
    ]


def anchor_line(checkpoint: Checkpoint, verifier_key: str) -> bytes:
    """Return the line that repeats a checkpoint, and the key that signed it, outside the volume."""
    return ANCHOR + orjson.dumps({"key": verifier_key, "note": checkpoint.note}, option=orjson.OPT_APPEND_NEWLINE)


def _emergency(incarnation: str, seq: int, rest: dict[str, object]) -> bytes:
    return orjson.dumps({"incarnation": incarnation, "seq": seq, **rest}, option=orjson.OPT_APPEND_NEWLINE)
