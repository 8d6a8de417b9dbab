"""One event, one line: how records become bytes and back.

A record is a JSON object of nine fields in fixed order, without line breaks:

    {"seq":…,"ts":…,"event_id":…,"event_type":…,"priority":…,"source":…,"data":…,"metadata":…,"timestamp_ns":…}

Its **body** is the same object without `seq`: what a publisher makes and stages. The writer puts the number in.

Its line in the file is the same bytes with `,"hash":"<base64>"` put in before the closing brace and a line feed after
it. The hash is the RFC 6962 leaf hash of the record, so it covers every byte of the line but its own.
"""

import re
from base64 import b64decode
from binascii import b2a_base64
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from hashlib import sha256
from typing import Any

import orjson

from riskbus.errors import FormatError
from riskbus.events import EventPriority, RiskEvent
from riskbus.stamps import timestamp
from riskbus.texts import safe_repr, utf8

FORMAT_VERSION = 1
FIELDS = ("seq", "ts", "event_id", "event_type", "priority", "source", "data", "metadata", "timestamp_ns")
MAX_RECORD_BYTES = 64 << 10
"""A longer record keeps its circumstances, and its payload is replaced by size and hash."""
MAX_BODY_BYTES = MAX_RECORD_BYTES - len(b'"seq":,') - 20  # 20: digits of the largest number there can be

HASH_PREFIX = b',"hash":"'
_HASH_BYTES = sha256().digest_size
_TAIL_LENGTH = len(HASH_PREFIX) + 44 + len(b'"}')  # 44: base64 of these 32 bytes
_NAME_LIMIT = 1024  # characters of source and event_id that a record which would be too long keeps
_SMALL_PAYLOAD = 1000  # bytes that stay in a record that is too long
_DEPTH_LIMIT = 32  # nesting that a payload which orjson refused keeps
_INT_LIMIT = 1 << 63
_MAX_NESTING = 500
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_BRACKET = re.compile(rb"[\[\]{}]")
_PRIORITIES = frozenset(priority.name for priority in EventPriority)

dumps = orjson.dumps


def encode_event(event: RiskEvent) -> bytes:
    """Return the body of an event's record: all but the number, which `with_number` puts in. Raises no Exception.

    What JSON does not know becomes its text; a payload that is too long becomes its size and hash.
    """
    try:
        body = as_one_line(dumps(event.fields, as_json))
    except Exception as error:  # noqa: BLE001 -- whatever a foreign object raises, the record stays
        body = encode_carefully(event, error)
    return body if len(body) <= MAX_BODY_BYTES else encode_shortened(body)


def as_one_line(body: bytes) -> bytes:
    """Return a body without line feeds. JSON has them between its words at most, and orjson puts none there.

    They come with an `orjson.Fragment`, which is what a program has serialised itself, and stands in the body as it is.
    """
    return body.replace(b"\n", b" ")


def encode_carefully(event: RiskEvent, error: Exception) -> bytes:
    """Return the body of an event's record where orjson raised this error.

    Raises:
        BaseException: what was thrown in from outside, for example KeyboardInterrupt; orjson wraps even that.
    """
    if error.__cause__ is not None and not isinstance(error.__cause__, Exception):
        raise error.__cause__ from None
    return dumps({name: _plain(value) for name, value in event.fields.items()})


def encode_control(kind: str, data: Mapping[str, Any], event_id: str, timestamp_ns: int) -> bytes:
    """Return the body of one of the log's own records; `kind` begins with AUDIT_."""
    return dumps(
        {
            "ts": timestamp(timestamp_ns),
            "event_id": event_id,
            "event_type": kind,
            "priority": "NORMAL",
            "source": "riskbus",
            "data": data,
            "metadata": {},
            "timestamp_ns": timestamp_ns,
        }
    )


def with_number(seq: int, body: bytes) -> bytes:
    """Return the record with this number and body."""
    return b'{"seq":%d,%b' % (seq, body[1:])


def renumber(seq: int, record: bytes) -> bytes:
    """Return the same record with another number."""
    return b'{"seq":%d%b' % (seq, record[record.index(b",") :])


def leaf_hash(record: bytes) -> bytes:
    """Return the hash of a leaf of the Merkle tree. Source: RFC 6962, section 2.1."""
    return sha256(b"\x00" + record).digest()


def to_line(record: bytes, leaf: bytes) -> bytes:
    """Return the line of the file for a record and its leaf hash."""
    return b'%b,"hash":"%b"}\n' % (record[:-1], b2a_base64(leaf, newline=False))


def from_line(line: bytes) -> tuple[bytes, bytes]:
    """Split a line, with or without its line feed, into the record and the hash that it states. Does not compare them.

    Raises:
        FormatError: the line does not end as a record's line does.
    """
    body = line.removesuffix(b"\n")
    head, tail = body[:-_TAIL_LENGTH], body[-_TAIL_LENGTH:]
    if not tail.startswith(HASH_PREFIX) or not tail.endswith(b'"}'):
        raise FormatError('the line does not end with ,"hash":"…"}')
    encoded = tail[len(HASH_PREFIX) : -2]
    try:
        stated = b64decode(encoded, validate=True)
    except ValueError as error:
        raise FormatError(f"the hash is not base64: {error}") from None
    if len(stated) != _HASH_BYTES or b2a_base64(stated, newline=False) != encoded:  # one spelling of many is right
        raise FormatError("the hash is not written as base64 writes it")
    return head + b"}", stated


def decode(record: bytes) -> dict[str, Any]:
    """Return a record's fields.

    Raises:
        FormatError: it is not a JSON object of exactly the nine fields in their order.
    """
    try:
        fields = orjson.loads(record)
    except orjson.JSONDecodeError as error:
        raise FormatError(f"not JSON: {error}") from None
    if not isinstance(fields, dict) or tuple(fields) != FIELDS:
        raise FormatError(f"not an object of the fields {', '.join(FIELDS)} in this order")
    seq = fields["seq"]
    if type(seq) is not int or not record.startswith(b'{"seq":%d,"ts":"' % seq):
        raise FormatError("seq is not a plain number at the start of the line")
    return fields


def read(record: bytes) -> dict[str, Any]:
    """Return the fields of a record that is all that the format asks for; `decode` also takes what a reader can use.

    Raises:
        FormatError: it is not JSON as docs/format.md wants it, or its fields are not the nine, or not of their types.
    """
    fields = decode(record)
    if too_deep(record):
        raise FormatError("lists and objects are nested too deeply")
    texts = all(isinstance(fields[name], str) for name in ("ts", "event_id", "event_type", "priority", "source"))
    if not texts or fields["priority"] not in _PRIORITIES or not is_timestamp(fields["timestamp_ns"]):
        raise FormatError("a field is not of the type that it must have")
    return fields


def is_timestamp(value: object) -> bool:
    """Whether a value is a whole number from -2^63 to 2^64 - 1, which is what `timestamp_ns` may be."""
    return type(value) is int and -(1 << 63) <= value < 1 << 64


def load_json(document: bytes) -> object:
    """Return what a JSON document says.

    Raises:
        FormatError: it is none, or not as docs/format.md wants it.
    """
    if too_deep(document):
        raise FormatError("lists and objects are nested too deeply")
    try:
        value: object = orjson.loads(document)
    except orjson.JSONDecodeError as error:
        raise FormatError(f"not JSON: {error}") from None
    return value


def too_deep(document: bytes) -> bool:
    """Whether lists and objects stand in each other to more than 500 levels; every parser of JSON has such a limit.

    Counts brackets outside of strings, so that it does not depend on what a parser makes of the document.
    """
    if document.count(b"[") + document.count(b"{") <= _MAX_NESTING:
        return False
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", document)):
        depth += 1 if bracket in b"[{" else -1
        if depth > _MAX_NESTING:
            return True
    return False


def as_json(value: object) -> object:
    """Return something JSON knows for a value that orjson does not."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, AbstractSet):
        return list(value)
    return safe_repr(value)


def _plain(value: object, depth: int = 0) -> object:  # noqa: PLR0911 -- one return for each kind of JSON value
    """Return a copy of a payload that any JSON library can write."""
    try:
        if isinstance(value, str):
            return utf8(str(value))
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            return int(value) if abs(value) < _INT_LIMIT else str(int(value))
        if depth < _DEPTH_LIMIT and isinstance(value, Mapping):
            return {_key(key): _plain(item, depth + 1) for key, item in value.items()}
        if depth < _DEPTH_LIMIT and isinstance(value, list | tuple | AbstractSet):
            return [_plain(item, depth + 1) for item in value]
        text = as_json(value)
        return text if isinstance(text, str) else safe_repr(value)
    except Exception:  # noqa: BLE001 -- a foreign container may raise anything
        return safe_repr(value)


def _key(key: object) -> str:
    return utf8(key) if isinstance(key, str) else safe_repr(key)


def encode_shortened(body: bytes) -> bytes:
    """Return a body that is too long with sizes and hashes in the place of what makes it so."""
    fields = orjson.loads(body)
    for name in ("data", "metadata"):
        payload = dumps(fields[name])
        if len(payload) > _SMALL_PAYLOAD:
            digest = sha256(payload).hexdigest()
            fields[name] = {"audit_omitted": "too large", "bytes": len(payload), "sha256": digest}
    for name in ("event_id", "source"):
        fields[name] = fields[name][:_NAME_LIMIT] if isinstance(fields[name], str) else safe_repr(fields[name])
    return dumps(fields)
