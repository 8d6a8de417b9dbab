"""Checking many lines at once: the fast way for what is in order, which is nearly everything.

A verifier's time goes into Python's own steps, not into SHA-256. So what can be compared for a whole block of lines is
compared for the block, in compiled code where that is, and a block in which anything is unusual is left to be checked
line by line.
"""

import re
from binascii import b2a_base64
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

from riskbus.format.merkle import TILE_WIDTH, tile_roots
from riskbus.native import hot

MAX_LINE_BYTES = 1 << 20
"""A longer line is no record. Writers stay far below."""

CONTROL_MARK = b',"event_type":"AUDIT_'
HEAD = re.compile(rb'\{"seq":(0|[1-9][0-9]{0,18}),"ts":"')
_TIME = re.compile(rb'\{"seq":[0-9]+,"ts":"([^"\\]*)"')
_STAMP = re.compile(rb',"timestamp_ns":([0-9]{1,19})\}\Z')
_HASH_BYTES = 32
_HASH_LENGTH = 44  # base64 of the 32 bytes of SHA-256
_TAIL_LENGTH = len(b',"hash":"') + _HASH_LENGTH + len(b'"}')

_scan = getattr(hot, "scan", None)  # not there where libcrypto is not


class Control(NamedTuple):
    """A line of a block that may be a control record: its number, its offset in the block, and its record."""

    seq: int
    offset: int
    record: bytes


class Block(NamedTuple):
    """Lines that are in order: every one a record that matches its hash, numbered one after the other.

    Attributes:
        first: number of the first record.
        records: how many there are.
        leaves: their leaf hashes, one after the other.
        tiles: roots of the Merkle tree's tiles that lie wholly in the block, by the number of their first record.
        controls: the lines that may be control records.
        first_ts: time of the first record.
        last_ts: time of the last record.
        last_ns: the same in nanoseconds, -1 if it has none.
    """

    first: int
    records: int
    leaves: bytes
    tiles: dict[int, bytes]
    controls: list[Control]
    first_ts: str
    last_ts: str
    last_ns: int


def scan(data: bytes) -> Block | None:
    """Return what a block of whole lines holds, or None if anything in it needs a closer look."""
    if len(data) > MAX_LINE_BYTES:
        return None
    found = _scan(data) if _scan else None
    if found is None:
        return scan_in_python(data)
    first, records, leaves, roots = found
    tiles = range(first + -first % TILE_WIDTH, first + records - TILE_WIDTH + 1, TILE_WIDTH)
    return _block(data, first, records, leaves, dict(zip(tiles, _hashes(roots), strict=True)))


def scan_in_python(data: bytes) -> Block | None:
    """Do the same without the compiled form, and where that found something unusual."""
    lines = data.split(b"\n")
    if lines.pop() or not lines:
        return None
    head = HEAD.match(lines[0])
    if head is None:
        return None
    first = int(head[1])
    leaves = [sha256(b"\0%b}" % line[:-_TAIL_LENGTH]).digest() for line in lines]
    if not _tails_match(lines, leaves) or not _numbers_match(lines, first):
        return None
    return _block(data, first, len(lines), b"".join(leaves), tile_roots(first, leaves))


def time_of(record: bytes) -> str:
    """Return the field `ts` of a record or line, "" if it is not in its place."""
    match = _TIME.match(record)
    return match[1].decode("utf-8", "replace") if match else ""


def timestamp_of(record: bytes, otherwise: int = -1) -> int:
    """Return the field `timestamp_ns` of a record, or the other number if it is not in its place."""
    match = _STAMP.search(record, max(len(record) - 40, 0))
    return int(match[1]) if match else otherwise


def _block(data: bytes, first: int, records: int, leaves: bytes, tiles: dict[int, bytes]) -> Block:
    last = data[data.rfind(b"\n", 0, -1) + 1 : -1]
    record = last[:-_TAIL_LENGTH] + b"}"
    return Block(
        first, records, leaves, tiles, list(_controls(data)), time_of(data), time_of(last), timestamp_of(record)
    )


def _hashes(joined: bytes) -> Iterator[bytes]:
    return (joined[start : start + _HASH_BYTES] for start in range(0, len(joined), _HASH_BYTES))


def _tails_match(lines: list[bytes], leaves: list[bytes]) -> bool:
    """Whether every line ends with its own hash, written as base64 writes it."""
    text = bytearray(b2a_base64(b"\0".join(leaves) + b"\0", newline=False))  # 33 bytes give 44 characters ...
    text[_HASH_LENGTH - 1 :: _HASH_LENGTH] = b"=" * len(leaves)  # ... of which the last is padding for 32
    expected = b',"hash":"' + text.replace(b"=", b'="},"hash":"')
    return b"".join([line[-_TAIL_LENGTH:] for line in lines]) + b',"hash":"' == expected


def _numbers_match(lines: list[bytes], first: int) -> bool:
    """Whether the lines begin with these numbers, one after the other."""
    for start, end in _same_width(first, first + len(lines)):
        numbers = str(list(range(start, end)))[1:-1].replace(", ", ',"ts":"{"seq":')
        length = len(b'{"seq":%d,"ts":"' % start)
        heads = b"".join([line[:length] for line in lines[start - first : end - first]])
        if heads != b'{"seq":%b,"ts":"' % numbers.encode():
            return False
    return True


def _same_width(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Split a range of numbers where they get longer by a digit."""
    while start < end:
        split = min(end, 10 ** len(str(start)))
        yield start, split
        start = split


def _controls(data: bytes) -> Iterator[Control]:
    found = data.find(CONTROL_MARK)
    while found >= 0:
        start = data.rfind(b"\n", 0, found) + 1
        end = data.index(b"\n", found)
        head = HEAD.match(data, start)
        if head is not None:
            yield Control(int(head[1]), start, data[start : end - _TAIL_LENGTH] + b"}")
        found = data.find(CONTROL_MARK, end)
