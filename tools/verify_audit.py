#!/usr/bin/env python3
"""Verify riskbus audit logs with nothing but Python (3.9 or newer) and its standard library.

Written from docs/format.md alone, so that the evidence does not rest on the program that wrote it. The numbers in the
comments are sections of that page. It is one long file so that an auditor has one thing to read and to copy to where
the log is; `--help` says the rest.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import math
import os
import re
import sys
import zlib
from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # not on Windows, where a copy of the log is all that there can be
    fcntl = None  # type: ignore[assignment]  # where it is None, nothing asks it

MAX_LINE = 1_048_576
MAX_WAITING = 1_048_576  # copies, and records between a checkpoint's size and its own number
MAX_LISTED = 1_000  # findings of one kind in an incarnation
MAX_RECOVERED = 1_000  # AUDIT_RECOVERED records of an incarnation that count
NEVER = 1 << 63  # a number that no record reaches
UNSEALED_AFTER_NS = 60_000_000_000
MAX_NESTING = 500  # lists and objects of JSON in each other
DIGITS = 300  # a number of so many is one that a binary64 holds

FIELDS = ["seq", "ts", "event_id", "event_type", "priority", "source", "data", "metadata", "timestamp_ns"]
PRIORITIES = {"CRITICAL", "HIGH", "NORMAL", "LOW"}

SEGMENT = re.compile(
    r"(?P<stem>.+)-(?P<id>[0-9a-f]{32})-(?P<n>[0-9]{6,19})-(?P<first>[0-9]{12,19})\.jsonl(?P<gz>\.gz)?"
)
HEAD = re.compile(rb'\{"seq":(0|[1-9][0-9]{0,18}),"ts":"')
TAIL = re.compile(rb',"hash":"([A-Za-z0-9+/]{43}=)"\}')
TS = re.compile(rb'\{"seq":[0-9]+,"ts":"([^"\\]*)"')
TIMESTAMP = re.compile(rb',"timestamp_ns":([0-9]{1,19})\}\Z')
MEMBER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00"
CONTROL = b',"event_type":"AUDIT_'
NAME = re.compile(r"[^\s+]+")  # of a key
STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
ESCAPE = re.compile(rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F])|\\.")  # the group: half a surrogate pair

SEVERITIES = ("tampering", "damage", "undecided", "declared_gap")  # their places + 1 are the exit codes
CONCLUSIONS = (
    "Nothing is wrong.",
    "The log was tampered with.",
    "The log is damaged.",
    "It cannot be decided whether the log is as it was written.",
    "The log is intact, and declares what is not in it: events that were lost, or segments that were pruned.",
)
USAGE = 64
KINDS = {
    "malformed": "integrity",
    "torn": "integrity",
    "torn-recovered": "integrity",
    "altered": "integrity",
    "out-of-order": "integrity",
    "misnamed": "integrity",
    "contradicted": "integrity",
    "unopened": "integrity",
    "misplaced": "integrity",
    "after-close": "integrity",
    "version": "integrity",
    "unreadable": "integrity",
    "missing": "completeness",
    "absent": "completeness",
    "pruned": "completeness",
    "gap": "completeness",
    "seal": "authenticity",
    "keyless": "authenticity",
    "signature": "authenticity",
    "root": "authenticity",
    "unproved": "authenticity",
    "unsealed": "authenticity",
    "anchor": "anchoring",
    "key": "anchoring",
    "truncated": "anchoring",
    "removed": "anchoring",
    "stray": "anchoring",
}


class UsageError(Exception):
    """What was asked for cannot be done; the message says why."""


# --- Ed25519, RFC 8032 section 5.1 --------------------------------------------------------------

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
BASE_Y = 4 * pow(5, P - 2, P) % P

Point = tuple[int, int, int, int]  # (X, Y, Z, T) with x = X/Z, y = Y/Z, x * y = T/Z


def _x_of(y: int, sign: int) -> int | None:
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    return P - x if x & 1 != sign else x


def _decode_point(data: bytes) -> Point | None:
    number = int.from_bytes(data, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    x = _x_of(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


def _encode_point(point: Point) -> bytes:
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _add(one: Point, other: Point) -> Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def _multiply(scalar: int, point: Point) -> Point:
    result: Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


BASE: Point = (_x_of(BASE_Y, 0), BASE_Y, 1, _x_of(BASE_Y, 0) * BASE_Y % P)  # type: ignore[operator, assignment]  # this point has an x


@lru_cache(maxsize=4096)  # the same note stands in the log, in the next AUDIT_OPEN and in the container's output
def signature_is_good(key: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether an Ed25519 signature (64 bytes) of a message is by the public key (32 bytes)."""
    point = _decode_point(key)
    scalar = int.from_bytes(signature[32:], "little")
    if point is None or len(signature) != 64 or scalar >= ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + key + message).digest()
    challenge = int.from_bytes(digest, "little") % ORDER
    x, y, z, t = point
    minus = (P - x if x else 0, y, z, P - t if t else 0)
    return _encode_point(_add(_multiply(scalar, BASE), _multiply(challenge, minus))) == signature[:32]


# --- RFC 6962 (4) -------------------------------------------------------------------------------


class Tree:
    """The Merkle tree over the leaves so far; roots can be asked for sizes up to MAX_WAITING behind the newest leaf."""

    def __init__(self, wanted: set[int]) -> None:
        self.roots = {0: hashlib.sha256(b"").digest()} if 0 in wanted else {}
        self._wanted = wanted
        self._peaks: list[bytes] = []  # of the perfect trees that make up `_size` leaves, the largest first
        self._size = 0
        self._waiting: deque[bytes] = deque()

    def resume(self, size: int, peaks: list[bytes]) -> None:
        """Go on behind leaves that are not here."""
        self._size, self._peaks = size, list(peaks)
        if size in self._wanted:
            self.roots[size] = self.root(size)

    def add(self, leaf: bytes) -> None:
        """Add the next leaf."""
        self._waiting.append(leaf)
        if len(self._waiting) > MAX_WAITING + 1:
            self._take()

    def root(self, size: int) -> bytes:
        """Return the root over the first leaves; the size must not fall from call to call."""
        while self._size < size:
            self._take()
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = hashlib.sha256(b"\x01" + peak + root).digest()
        return root

    def finish(self) -> None:
        """Work out the roots that are still wanted."""
        for size in sorted(self._wanted):
            if self._size < size <= self._size + len(self._waiting):
                self.root(size)

    def _take(self) -> None:
        self._peaks.append(self._waiting.popleft())
        size = self._size
        while size & 1:
            right = self._peaks.pop()
            self._peaks[-1] = hashlib.sha256(b"\x01" + self._peaks[-1] + right).digest()
            size >>= 1
        self._size += 1
        if self._size in self._wanted:
            self.roots[self._size] = self.root(self._size)


# --- checkpoints and keys: C2SP signed notes (4) ------------------------------------------------


class Checkpoint(NamedTuple):
    """A checkpoint as its note says it; whether the signature is good is another question."""

    origin: str
    size: int
    root: bytes
    note: str


def unbase64(text: str) -> bytes | None:
    """Return what strict base64 stands for, or None."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if base64.b64encode(data).decode() == text else None


def parse_checkpoint(note: object) -> Checkpoint | None:
    """Return the checkpoint that the text of a note says, or None."""
    if not isinstance(note, str):
        return None
    text, _, signatures = note.rpartition("\n\n")
    lines = text.split("\n")
    if not signatures.endswith("\n"):
        return None
    if len(lines) < 3 or not all(lines) or not re.fullmatch("0|[1-9][0-9]{0,18}", lines[1]):
        return None
    root = unbase64(lines[2])
    return Checkpoint(lines[0], int(lines[1]), root, note) if root is not None and len(root) == 32 else None


def note_is_signed(checkpoint: Checkpoint, key: bytes) -> bool:
    """Say whether a checkpoint's note carries a signature of its origin by this public key, and no false one."""
    cut = checkpoint.note.rindex("\n\n")
    text, rest = checkpoint.note[: cut + 1], checkpoint.note[cut + 2 :]
    found = False
    for line in rest[:-1].split("\n"):
        dash, name, encoded = (*line.split(" "), "", "")[:3] if line.count(" ") == 2 else ("", "", "")
        signature = unbase64(encoded)
        if dash != "\u2014" or not NAME.fullmatch(name) or signature is None or len(signature) < 5:
            return False
        if name == checkpoint.origin and signature[:4] == key_id(name, key):
            if not signature_is_good(key, text.encode(), signature[4:]):
                return False
            found = True
    return found


def key_id(name: str, key: bytes) -> bytes:
    """Return the identifier of a public key of that name."""
    return hashlib.sha256(name.encode() + b"\n\x01" + key).digest()[:4]


def parse_key(text: object, name: str) -> bytes | None:
    """Return the public key of a verifier key of that name, or None."""
    if not isinstance(text, str) or not text.startswith(name + "+") or not NAME.fullmatch(name):
        return None
    identifier, _, encoded = text[len(name) + 1 :].partition("+")
    data = unbase64(encoded)
    if data is None or len(data) != 33 or data[0] != 1 or identifier != key_id(name, data[1:]).hex():
        return None
    return data[1:]


class Anchor(NamedTuple):
    """A checkpoint that was kept outside, the key that was kept with it ("" for none), and where it comes from."""

    checkpoint: Checkpoint
    key: str
    source: str


def parse_anchors(content: bytes, source: str) -> list[Anchor]:
    """Return the anchors in a file: a container's output, RiskAuditReports as JSON, or a note (6)."""
    mark = b"AUDIT_CHECKPOINT {"
    printed = [b"{" + line.partition(mark)[2] for line in content.split(b"\n") if mark in line]
    if printed:
        found = [pair for line in printed for pair in _printed(line)]
    else:
        try:
            found = _reported(parse_json(content))
        except ValueError:
            found = _bare(content)
    if not found:
        raise UsageError(f"{source} holds no anchor: no AUDIT_CHECKPOINT line, no RiskAuditReport, no signed note")
    return [_anchor(note, key, source) for note, key in found]


def _anchor(note: str, key: str, source: str) -> Anchor:
    checkpoint = parse_checkpoint(note)
    public = parse_key(key, checkpoint.origin) if checkpoint is not None else None
    if checkpoint is None or (key and (public is None or not note_is_signed(checkpoint, public))):
        raise UsageError(
            f"{source} holds an anchor that is no checkpoint, or not signed by the key that is kept with it"
        )
    return Anchor(checkpoint, key, source)


def _bare(content: bytes) -> list[tuple[str, str]]:
    try:
        return [(content.decode(), "")] if "\n\n\u2014 " in content.decode() else []
    except UnicodeDecodeError:
        return []


def _printed(line: bytes) -> list[tuple[str, str]]:
    try:
        document = parse_json(line)
    except ValueError:
        return []  # cut off in the middle
    note, key = document.get("note"), document.get("key")
    return [(note, key)] if isinstance(note, str) and isinstance(key, str) else []


def _reported(document: object) -> list[tuple[str, str]]:
    found = []
    waiting = [document]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if item.get("checkpoint") and item.get("publicKey"):
                found.append((str(item["checkpoint"]), str(item["publicKey"])))
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    return found


# --- lines and records (2) ----------------------------------------------------------------------


class Line(NamedTuple):
    """A line that is a record: its number, the record's bytes, the hash that it states, and whether that is right."""

    seq: int
    record: bytes
    hash: bytes
    altered: bool


def parse_line(line: bytes) -> Line | None:
    """Return the record of a line (without its line feed), or None if it is none."""
    head, tail = HEAD.match(line), TAIL.fullmatch(line, max(len(line) - 55, 0))
    if head is None or tail is None or head.end() > tail.start() or len(line) >= MAX_LINE:
        return None
    stated = unbase64(tail[1].decode())
    if stated is None:
        return None
    record = line[: tail.start()] + b"}"
    return Line(int(head[1]), record, stated, hashlib.sha256(b"\x00" + record).digest() != stated)


def holds_more_than_a_record(rest: bytes) -> bool:
    """Say whether a whole record stands in bytes without a line feed, and something else after it."""
    for tail in TAIL.finditer(rest):
        line = parse_line(rest[: tail.end()])
        if line is not None and not line.altered:
            return tail.end() < len(rest)
    return False


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON, or too large for one")


def _float(text: str) -> float:
    return float(text) if math.isfinite(float(text)) else _refuse(text)


def _int(text: str) -> int:
    return int(text) if len(text) <= DIGITS or math.isfinite(float(text)) else _refuse(text)


_DECODER = json.JSONDecoder(parse_float=_float, parse_int=_int, parse_constant=_refuse)


def parse_json(document: bytes) -> Any:  # noqa: ANN401 -- whatever it says
    """Return what a JSON document says; raises ValueError if it is none, or not as section 2 wants it."""
    if document.count(b"[") + document.count(b"{") > MAX_NESTING and _depth(document) > MAX_NESTING:
        raise ValueError("lists and objects are nested too deeply")
    if b"\\u" in document and any(escape[1] for escape in ESCAPE.finditer(document)):
        raise ValueError("half of a surrogate pair stands alone")
    return _DECODER.decode(document.decode())


def _depth(document: bytes) -> int:
    depth = deepest = 0
    for bracket in re.findall(rb"[\[\]{}]", STRING.sub(b"", document)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def parse_record(record: bytes) -> dict[str, Any] | None:
    """Return the nine fields of a record, or None if it is not JSON of exactly these."""
    try:
        fields = parse_json(record)
    except ValueError:
        return None
    if not isinstance(fields, dict) or list(fields) != FIELDS:
        return None
    texts = all(isinstance(fields[name], str) for name in ("ts", "event_id", "event_type", "priority", "source"))
    numbers = all(type(fields[name]) is int and -NEVER <= fields[name] < 1 << 64 for name in ("seq", "timestamp_ns"))
    return fields if texts and numbers and fields["priority"] in PRIORITIES else None


# --- files and directories (1) ------------------------------------------------------------------


class Segment(NamedTuple):
    """A segment's file, and what its name says."""

    directory: str
    name: str
    stem: str
    id: str
    n: int
    first: int
    gz: bool
    size: int


def parse_name(name: str) -> dict[str, Any] | None:
    """Return the parts of a segment's name, or None if it is not one."""
    match = SEGMENT.fullmatch(name)
    if match is None or match["n"] != f"{int(match['n']):06d}" or match["first"] != f"{int(match['first']):012d}":
        return None
    return {
        "stem": match["stem"],
        "id": match["id"],
        "n": int(match["n"]),
        "first": int(match["first"]),
        "gz": bool(match["gz"]),
    }


def list_segments(directory: str) -> list[Segment]:
    """Return the segments that lie directly in a directory, by incarnation and number."""
    found: dict[tuple[str, str, int, int], Segment] = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            parts = parse_name(entry.name)
            if parts is None or not entry.is_file(follow_symlinks=False):
                continue
            key = (parts["stem"], parts["id"], parts["n"], parts["first"])
            if key not in found or not parts["gz"]:
                found[key] = Segment(directory, entry.name, size=entry.stat(follow_symlinks=False).st_size, **parts)
    return [found[key] for key in sorted(found)]


def printable(name: str) -> str:
    """Return a file's name as text that can be written as UTF-8, whatever bytes it consists of."""
    return name.encode("utf-8", "backslashreplace").decode()


def find_sets(directories: list[str], unreadable: list[OSError]) -> list[list[Segment]]:
    """Return the sets of segments that make up one incarnation each, wherever they lie below the directories."""
    sets: dict[tuple[str, str], list[list[Segment]]] = {}
    seen: set[str] = set()
    for top in directories:
        for directory, real in sorted(_walk(top)):
            if real in seen:
                continue
            seen.add(real)
            try:
                segments = list_segments(directory)
            except OSError as error:
                unreadable.append(error)
                continue
            groups: dict[tuple[str, str], list[Segment]] = {}
            for segment in segments:
                groups.setdefault((segment.stem, segment.id), []).append(segment)
            for key, group in groups.items():
                _join(sets.setdefault(key, []), group)
    return [sorted(one, key=lambda segment: (segment.n, segment.first)) for several in sets.values() for one in several]


def _join(sets: list[list[Segment]], group: list[Segment]) -> None:
    for one in sets:
        present = {segment.n: segment for segment in one}
        if all(_equal(present[segment.n], segment) for segment in group if segment.n in present):
            one.extend(segment for segment in group if segment.n not in present)
            return
    sets.append(list(group))


def _equal(one: Segment, other: Segment) -> bool:
    """Say whether two files hold the same segment."""
    if (one.n, one.first) != (other.n, other.first):
        return False
    digests = set()
    for segment in (one, other):
        digest = hashlib.sha256()
        try:
            with open(os.path.join(segment.directory, segment.name), "rb") as file:
                for block in read_gzip(file) if segment.gz else read_plain(file):
                    digest.update(block)
        except OSError:
            return False
        digests.add(digest.digest())
    return len(digests) == 1


def _walk(top: str) -> Iterator[tuple[str, str]]:
    """Yield a directory and all below, each with its real path; below the first one no link is followed."""
    waiting = [(top, os.path.realpath(top))]
    while waiting:
        directory, real = waiting.pop()
        yield directory, real
        try:
            with os.scandir(directory) as entries:
                inside = [e for e in entries if e.is_dir(follow_symlinks=False) and e.name != "lost+found"]
        except OSError:
            continue  # listing its segments says so
        waiting += [(entry.path, os.path.join(real, entry.name)) for entry in inside]


def is_locked(path: str) -> bool:
    """Say whether a process holds a segment's lock, which is what its writer does."""
    if fcntl is None:
        return False  # type: ignore[unreachable] # mypy looks at it as on Linux
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def read_plain(file: BinaryIO) -> Iterator[bytes]:
    """Yield what a file holds from here on."""
    while True:
        block = file.read(1 << 18)
        if not block:
            return
        yield block


def read_gzip(file: BinaryIO) -> Iterator[bytes]:
    """Yield what the members of a gzip file hold.

    A damaged one is read up to the very byte, then stands a line that is no record, then the next member follows.
    """
    start, size = 0, os.fstat(file.fileno()).st_size
    while start < size:
        file.seek(start)
        inflate, used, reason = zlib.decompressobj(31), 0, "it ends too early"
        try:
            for block in read_plain(file):
                yield from _inflate(inflate, block)
                used += len(block) - len(inflate.unused_data)
                if inflate.eof:
                    break
        except zlib.error as error:
            reason = str(error)
        if inflate.eof:
            start += used
        else:
            yield f"<the gzip member at byte {start} is damaged: {reason}>\n".encode()
            start = _find_member(file, start + 1, size)


def _find_member(file: BinaryIO, start: int, size: int) -> int:
    """Return where the next member begins that has neither a name nor a time, the file's size if there is none."""
    overlap = b""
    file.seek(start)
    for block in read_plain(file):
        found = (overlap + block).find(MEMBER)
        if found >= 0:
            return start - len(overlap) + found
        start += len(block)
        overlap = (overlap + block)[1 - len(MEMBER) :]
    return size


def _inflate(inflate: Any, block: bytes) -> Iterator[bytes]:  # noqa: ANN401 -- zlib does not name the type
    """Yield what a block decompresses to, a megabyte at a time, up to the very byte that is damaged."""
    while block and not inflate.eof:
        before = inflate.copy()
        try:
            data = inflate.decompress(block, 1 << 20)
        except zlib.error:
            for number in range(len(block)):
                yield before.decompress(block[number : number + 1])  # raises the same error when it comes to the byte
        yield data
        block = inflate.unconsumed_tail


def split_lines(blocks: Iterator[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield lines with their line feed, and their lengths; of one that is too long, its beginning and whole length."""
    rest, length = b"", 0
    for block in blocks:
        start = 0
        while True:
            end = block.find(b"\n", start) + 1
            piece = block[start : end or None]
            length += len(piece)
            rest += piece[: MAX_LINE + 1 - len(rest)]
            if not end:
                break
            yield (rest if length <= MAX_LINE else rest[:MAX_LINE] + b"\n"), length
            rest, length, start = b"", 0, end
    if length:
        yield rest, length


# --- one incarnation (3, 4, 7) ------------------------------------------------------------------


class Findings:
    """What was found in one incarnation, at most MAX_LISTED of a kind."""

    def __init__(self, incarnation: str) -> None:
        self.incarnation = incarnation
        self.listed: list[dict[str, Any]] = []
        self.counts: dict[str, int] = {}

    def add(
        self, kind: str, severity: str, message: str, seq: int = -1, place: tuple[str, int, int] = ("", 0, -1)
    ) -> dict[str, Any]:
        """Add a finding, and return it; `place` is a file, a line and a byte."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        finding = {
            "kind": kind,
            "dimension": KINDS[kind],
            "severity": severity,
            "message": message,
            "incarnation": self.incarnation,
            "seq": seq,
            "file": place[0],
            "line": place[1],
            "byte": place[2],
        }
        if self.counts[kind] <= MAX_LISTED:
            self.listed.append(finding)
        return finding


class Incarnation:
    """Checks the segments of one incarnation, line by line."""

    def __init__(self, name: str, wanted: set[int]) -> None:
        self.id = name
        self.findings = Findings(name)
        self.tree = Tree(wanted)
        self.next = 0
        self.pruned = 0  # records that are gone, by declaration
        self.records = self.events = self.sealed = self.gap_events = self.anchored = 0
        self.sealing = 0  # checkpoints among the records that no good checkpoint covers yet
        self.first_ts = self.last_ts = self.stream = self.public_key = ""
        self.key: bytes | None = None
        self.opened = self.closed = False
        self._closed_at = -1
        self.previous: list[tuple[str, str]] = []
        self.recovered: list[dict[str, Any]] = []  # data of AUDIT_RECOVERED records about earlier incarnations
        self.torn: tuple[int, bytes, dict[str, Any]] | None = None  # the next number, the torn rest, and its finding
        self.hole: int | None = None  # the first number that is missing
        self._blame = "tampering"  # what a missing number would mean
        self._said: set[str] = set()  # kinds that are found once only
        self._newest = 0  # size of the newest checkpoint
        self._seen_checkpoint = False
        self._newest_ns = self._last_ns = 0
        self._badly_made: list[tuple[int, tuple[str, int, int]]] = []  # to be reported unless a checkpoint covers them
        self._uncovered_checkpoints: list[int] = []
        self._copies: dict[int, list[tuple[bytes, tuple[str, int, int], bool]]] = {}
        self._waiting = 0
        self._segment: Segment | None = None
        self._takeover = NEVER
        self._at = 0  # the number of the line before in this segment, plus one
        self._first = True
        self.place = ("", 0, -1)

    def resume(self, gone: Declaration) -> None:
        """Go on behind records that are gone (3.6)."""
        self.next = self.pruned = gone.records
        self.tree.resume(gone.records, gone.edge)
        self.opened, self.stream, self.previous = True, gone.stream, gone.previous
        self.key = parse_key(gone.key, f"{gone.stream}/{self.id}")
        self.public_key = gone.key if self.key else ""
        self.closed, self._closed_at = gone.closed, gone.records - 1 if gone.closed else -1
        self.sealed = self._newest = gone.sealed
        self._seen_checkpoint = gone.sealed > 0
        self._newest_ns = self._last_ns = gone.last_ns

    def begin(self, segment: Segment, takeover: int) -> None:
        """Go on to the next segment; another takes over from it at this number."""
        self._segment, self._takeover, self._first, self._at = segment, takeover, True, segment.first
        self.place = (printable(segment.name), 0, -1)
        if segment.first > self.next:
            self._miss(segment.first)

    # one line

    def take(self, raw: bytes) -> None:
        """Check the line (without its line feed) at `place`."""
        line = parse_line(raw)
        if line is None:
            self.garbled("the line is no record")
            return
        expected = self.next if self.next < self._takeover else self._at
        seq = line.seq
        if line.altered:
            seq = max(line.seq, expected) if self._blame == "damage" and line.seq < NEVER else expected
        self._check_name(line)
        self._at = seq + 1
        if seq >= self._takeover:
            self._copy(seq, hashlib.sha256(raw).digest(), partial=False)
        elif seq < self.next:
            self._find("out-of-order", "tampering", f"record {self.next} should stand here", seq)
        else:
            self._count(seq, line, raw)

    def _check_name(self, line: Line) -> None:
        if self._first and not line.altered and self._segment is not None and line.seq != self._segment.first:
            self._find("misnamed", "tampering", "the segment's name says that it begins with another number", line.seq)
        self._first = False

    def _count(self, seq: int, line: Line, raw: bytes) -> None:
        if line.altered:
            self._find("altered", "tampering", "the record does not match its hash", seq)
        if seq > self.next:
            self._miss(seq)
        self._compare_copies(seq, raw)
        self._blame, self.next = "tampering", seq + 1
        self.records += 1
        if self.hole is None:
            self.tree.add(line.hash)
        ts = TS.match(line.record)
        self.last_ts = ts[1].decode("utf-8", "replace") if ts and ts[1] else self.last_ts
        self.first_ts = self.first_ts or self.last_ts
        if line.altered:
            self.events += CONTROL not in line.record
            return
        self._interpret(seq, line.record)

    def _miss(self, seq: int) -> None:
        last = f" to {seq - 1}" if seq - 1 > self.next else ""
        self._find("missing", self._blame, f"records {self.next}{last} are missing", self.next)
        self.hole = self.next if self.hole is None else self.hole
        self.next, self._blame = seq, "tampering"

    def garbled(self, message: str) -> None:
        """Take note of a line at `place` that is no record."""
        self._find("malformed", "damage", message, self.next)
        self._blame, self._first = "damage", False

    def unreadable(self, message: str) -> None:
        """Take note that the segment cannot be read from `place` on."""
        self._find("unreadable", "undecided", message, self.next)
        self._blame, self._first = "undecided", False

    # copies, section 3.2

    def _copy(self, seq: int, digest: bytes, *, partial: bool) -> None:
        if self._waiting >= MAX_WAITING:
            self._find("contradicted", "damage", "too many copies wait for the lines that count", seq)
            return
        self._waiting += 1
        self._copies.setdefault(seq, []).append((digest, self.place, partial))

    def _compare_copies(self, seq: int, raw: bytes) -> None:
        for content, place, partial in self._copies.pop(seq, ()):
            self._waiting -= 1
            same = (raw + b"\n").startswith(content) if partial else hashlib.sha256(raw).digest() == content
            if not same:
                self._find("contradicted", "damage", "the copy differs from the line that counts", seq, place)

    # what follows the last line feed, section 3.5

    def rest(self, raw: bytes, *, last: bool, live: bool) -> None:
        """Check the bytes after the last line feed at `place`."""
        number = self.next if self.next < self._takeover else self._at
        head = b'{"seq":%d,"ts":"' % number
        if holds_more_than_a_record(raw):
            self.garbled("a record is followed by something else than a line feed")
        elif number >= self._takeover:
            self._copy(number, raw, partial=True)
        elif not (last and live and not self.closed and len(raw) < MAX_LINE and raw[: len(head)] == head[: len(raw)]):
            found = self._find("torn", "damage", "the last line is torn", self.next)
            self._blame = "damage"
            self.torn = (self.next, raw, found) if last else None

    # what records say, sections 4 and 5

    def _interpret(self, seq: int, record: bytes) -> None:
        stamp = TIMESTAMP.search(record)
        self._last_ns = int(stamp[1]) if stamp else self._last_ns
        fields = parse_record(record)
        if fields is None or fields["seq"] != seq:
            self._badly_made.append((seq, self.place))
        control = CONTROL in record and fields is not None and fields["event_type"].startswith("AUDIT_")
        self.events += not control
        kind = fields["event_type"] if control and fields is not None else ""
        data = fields["data"] if fields is not None and isinstance(fields["data"], dict) else {}
        if seq == 0 and kind != "AUDIT_OPEN":
            self._find("unopened", "tampering", "the first record is not AUDIT_OPEN", seq)
        if self.closed and kind != "AUDIT_CHECKPOINT":
            self._find("after-close", "tampering", "a record follows AUDIT_CLOSE", seq)
        elif kind == "AUDIT_OPEN":
            self._open(seq, data)
        elif kind == "AUDIT_CLOSE":
            self.closed, self._closed_at = True, seq
        elif kind == "AUDIT_CHECKPOINT":
            self._seal(seq, data)
        elif kind == "AUDIT_GAP":
            events = data.get("events")
            if type(events) is int and 0 <= events < NEVER:
                self.gap_events = min(self.gap_events + events, NEVER - 1)
            self._find("gap", "declared_gap", f"{events} events are not in the log: {data.get('reason')}", seq)
        elif kind == "AUDIT_RECOVERED" and isinstance(data.get("incarnation"), str):
            self.recovered += [data] if data["incarnation"] and len(self.recovered) < MAX_RECOVERED else []

    def _open(self, seq: int, data: dict[str, Any]) -> None:
        if seq or data.get("incarnation") != self.id:
            self._find("misplaced", "tampering", "AUDIT_OPEN is not the first record, or of another incarnation", seq)
            return
        if data.get("format_version") != 1:
            self._find("version", "undecided", f"format version {data.get('format_version')} is not known", seq)
        self.opened = True
        self.stream = str(data.get("stream"))
        self.key = parse_key(data.get("public_key"), f"{self.stream}/{self.id}")
        self.public_key = str(data.get("public_key")) if self.key else ""
        self.previous = previous_of(data)

    def _seal(self, seq: int, data: dict[str, Any]) -> None:
        self._newest_ns = self._last_ns
        self._seen_checkpoint = True
        self._uncovered_checkpoints.append(seq)
        checkpoint = parse_checkpoint(data.get("note"))
        if checkpoint is None:
            self._find("seal", "tampering", "the checkpoint cannot be read", seq)
        elif self.opened and checkpoint.origin != f"{self.stream}/{self.id}":
            self._find("seal", "tampering", "the checkpoint is of another incarnation", seq)
        elif not self._newest < checkpoint.size <= seq <= checkpoint.size + MAX_WAITING:
            self._find("seal", "tampering", f"the checkpoint cannot cover {checkpoint.size} records here", seq)
        else:
            self._newest = checkpoint.size
            self._prove(seq, checkpoint)

    def _prove(self, seq: int, checkpoint: Checkpoint) -> None:
        if self.key is None:
            self._find_once("keyless", "undecided", "AUDIT_OPEN gave no key to check the seals with", seq)
        elif not note_is_signed(checkpoint, self.key):
            self._find("signature", "tampering", "the checkpoint is not signed by the incarnation's key", seq)
        elif self.hole is not None and checkpoint.size > self.hole:
            self._find_once("unproved", "undecided", f"record {self.hole} is missing, so no root can be compared", seq)
        elif checkpoint.size < self.pruned:
            pass  # what it covers is not here any more
        elif self.tree.root(checkpoint.size) != checkpoint.root:
            self._find_once("root", "tampering", "the records are not those that were sealed", seq)
        else:
            self.sealed = checkpoint.size
            self._badly_made = [made for made in self._badly_made if made[0] >= self.sealed]
            self._uncovered_checkpoints = [one for one in self._uncovered_checkpoints if one >= self.sealed]

    # the end

    def finish(self) -> None:
        """Say what only the end shows."""
        for seq, place in self._badly_made:
            self._find("malformed", "damage", "the record is not JSON of the nine fields", seq, place)
        last = self.next - 1
        if not self._seen_checkpoint:
            if self.records > 1:
                self._find("unsealed", "undecided", "there is no checkpoint", last, ("", 0, -1))
        elif self.closed and self._newest <= self._closed_at:
            self._find("unsealed", "undecided", "no checkpoint covers AUDIT_CLOSE", last, ("", 0, -1))
        elif self._last_ns - self._newest_ns > UNSEALED_AFTER_NS:
            self._find(
                "unsealed",
                "undecided",
                "the last checkpoint is more than 60 s older than the last record",
                last,
                ("", 0, -1),
            )
        self.tree.finish()

    @property
    def unsealed(self) -> int:
        """How many records no good checkpoint covers, checkpoints not counted."""
        return (
            self.pruned + self.records - self.sealed - len(self._uncovered_checkpoints)
        )  # nothing before `sealed` is missing

    def compare(self, anchors: list[Anchor]) -> None:
        """Compare with anchors (6)."""
        nowhere = ("", 0, -1)
        for anchor in sorted(anchors, key=lambda one: one.checkpoint.size):
            size, last = anchor.checkpoint.size, anchor.checkpoint.size - 1
            if self.opened and anchor.key and anchor.key != self.public_key:
                self._find_once("key", "tampering", f"{anchor.source} was kept with another key", 0, nowhere)
            if self.opened and anchor.checkpoint.origin != f"{self.stream}/{self.id}":
                self._find_once("anchor", "tampering", f"{anchor.source} is of another stream", last, nowhere)
            elif self.key is None:
                self._find_once("anchor?", "undecided", f"no key to check {anchor.source} with", last, nowhere)
            elif not note_is_signed(anchor.checkpoint, self.key):
                self._find_once(
                    "anchor", "tampering", f"{anchor.source} is not signed by the incarnation's key", last, nowhere
                )
            elif not self.pruned <= size <= self.next:
                continue
            elif self.hole is not None and size > self.hole:
                self._find_once(
                    "anchor?", "undecided", f"records before that of {anchor.source} are missing", last, nowhere
                )
            elif self.tree.roots[size] != anchor.checkpoint.root:
                self._find_once(
                    "anchor", "tampering", f"{anchor.source} says that other records were here", last, nowhere
                )
            else:
                self.anchored = max(self.anchored, size)
        largest = max(anchors, key=lambda one: one.checkpoint.size)
        if largest.checkpoint.size > self.next:
            message = f"{largest.source} says that there were at least {largest.checkpoint.size} records"
            self._find("truncated", "tampering", message, self.next, nowhere)

    def _find(
        self, kind: str, severity: str, message: str, seq: int, place: tuple[str, int, int] | None = None
    ) -> dict[str, Any]:
        return self.findings.add(kind, severity, message, seq, self.place if place is None else place)

    def _find_once(
        self, kind: str, severity: str, message: str, seq: int, place: tuple[str, int, int] | None = None
    ) -> None:
        if kind not in self._said:
            self._said.add(kind)
            self._find(kind.rstrip("?"), severity, message, seq, place)

    def summary(self) -> dict[str, Any]:
        """Return what the incarnation holds, for the result."""
        names = (
            "stream",
            "public_key",
            "records",
            "pruned",
            "events",
            "sealed",
            "unsealed",
            "anchored",
            "gap_events",
            "first_ts",
            "last_ts",
            "closed",
        )
        return {"incarnation": self.id, **{name: getattr(self, name) for name in names}}


def previous_of(data: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the incarnations that an AUDIT_OPEN names, each with the note of its last checkpoint."""
    previous = data.get("previous")
    entries = [entry for entry in previous if isinstance(entry, dict)] if isinstance(previous, list) else []
    return [(str(entry.get("incarnation")), str(entry.get("checkpoint"))) for entry in entries]


# --- what was pruned (3.6) ----------------------------------------------------------------------


class Declaration(NamedTuple):
    """What an AUDIT_PRUNED record says, and in which incarnation and under which number it stands."""

    id: str
    stream: str
    key: str
    previous: list[tuple[str, str]]
    records: int
    edge: list[bytes]
    sealed: int
    last_ns: int
    closed: bool
    by: str
    seq: int


def parse_declaration(data: dict[str, Any], by: str, seq: int) -> Declaration | None:
    """Return what the data of an AUDIT_PRUNED record says, or None if it contradicts itself."""
    if not _has_all_of_a_declaration(data):
        return None
    records, sealed = data["records"], data["sealed"]
    edge = [node for node in map(unbase64, data["edge"]) if node is not None and len(node) == 32]
    ones = bin(records).count("1")  # noqa: FURB161 -- int.bit_count came with Python 3.10
    if records == 0 or sealed > records or not len(data["edge"]) == len(edge) == ones:
        return None
    tree = Tree(set())
    tree.resume(records, edge)
    if tree.root(records) != unbase64(data["root"]):
        return None
    name, stream, key = data["incarnation"], data["stream"], data["public_key"]
    closed, last_ns = data["closed"], data["timestamp_ns"]
    return Declaration(name, stream, key, previous_of(data), records, edge, sealed, last_ns, closed, by, seq)


def _has_all_of_a_declaration(data: dict[str, Any]) -> bool:
    """Say whether every member is there that a verifier, or a person, needs, and of the right type."""
    texts = [data.get(name) for name in ("incarnation", "stream", "public_key", "root", "first_ts", "last_ts")]
    counts = [data.get(name) for name in ("records", "sealed", "events", "gap_events")]
    last_ns, previous = data.get("timestamp_ns"), data.get("previous")
    for name in ("segments", "edge"):
        if not isinstance(data.get(name), list):
            return False
        texts += data[name]
    if not isinstance(previous, list) or not all(isinstance(entry, dict) for entry in previous):
        return False
    texts += [entry.get(name) for entry in previous for name in ("incarnation", "checkpoint")]
    return (
        all(isinstance(text, str) for text in texts)
        and all(type(count) is int and 0 <= count < NEVER for count in counts)
        and type(last_ns) is int
        and -NEVER <= last_ns < 1 << 64
        and isinstance(data.get("closed"), bool)
    )


class Declarations:
    """The AUDIT_PRUNED records of everything that is verified, and which of them explain what is not here."""

    def __init__(self, sets: list[list[Segment]]) -> None:
        self._all: dict[str, list[Declaration]] = {}
        self.used: dict[str, Declaration] = {}
        for segment in (segment for one in sets for segment in one):
            for declaration in _declarations_in(segment):
                self._all.setdefault(declaration.id, []).append(declaration)

    def beginning(self, segments: list[Segment]) -> Declaration | None:
        """Return what is said about the records before an incarnation's first segment."""
        first = segments[0].first
        fitting = [one for one in self._all.get(segments[0].id, []) if first and one.records <= first]
        if not fitting:
            return None
        self.used[segments[0].id] = best = max(fitting, key=lambda one: one.records)
        return best

    def explain(self, name: str, anchors: list[Anchor]) -> bool:
        """Say whether an incarnation that is not here was pruned, and whether its anchors agree."""
        if name not in self._all:
            return any(name < other for other in self._all)
        self.used[name] = last = max(self._all[name], key=lambda one: one.records)
        return all(one.checkpoint.size <= last.records and one.key in {"", last.key} for one in anchors)


def _declarations_in(segment: Segment) -> Iterator[Declaration]:
    try:
        with open(os.path.join(segment.directory, segment.name), "rb") as file:
            for raw, _ in split_lines(read_gzip(file) if segment.gz else read_plain(file)):
                line = parse_line(raw[:-1]) if CONTROL + b'PRUNED"' in raw and raw.endswith(b"\n") else None
                fields = parse_record(line.record) if line is not None and not line.altered else None
                if fields is None or fields["event_type"] != "AUDIT_PRUNED" or not isinstance(fields["data"], dict):
                    continue
                declaration = parse_declaration(fields["data"], segment.id, fields["seq"])
                if declaration is not None:
                    yield declaration
    except OSError:
        return  # the file becomes a finding when it is checked


# --- everything below the directories -----------------------------------------------------------


def verify(directories: list[str], anchors: list[Anchor]) -> dict[str, Any]:
    """Return the result document (8) for the logs in and below the directories."""
    unreadable: list[OSError] = []
    sets = find_sets(directories, unreadable)
    newest: dict[tuple[str, str], str] = {}
    for one in sets:
        stream = (one[0].directory, one[0].stem)
        newest[stream] = max(newest.get(stream, ""), one[0].id)
    kept: dict[str, list[Anchor]] = {}
    for anchor in anchors + [found for one in sets for found in _anchors_in(one)]:
        kept.setdefault(anchor.checkpoint.origin.rpartition("/")[2], []).append(anchor)
    lacking = any(one[0].first for one in sets) or not set(kept) <= {one[0].id for one in sets}
    declarations = Declarations(sets if lacking else [])
    streams: dict[tuple[str, str], dict[str, Any]] = {}
    checked, pairs = [], []
    for one in sorted(sets, key=lambda one: (one[0].directory, one[0].stem, one[0].id)):
        stream = (one[0].directory, one[0].stem)
        incarnation = _check(one, kept.get(one[0].id, []), declarations, is_newest=newest[stream] == one[0].id)
        checked.append(incarnation)
        pairs.append((one, incarnation))
        document = streams.setdefault(stream, _empty(stream))
        document["segments"] += len(one)
        document["bytes"] += sum(segment.size for segment in one)
        document["incarnations"].append(incarnation.summary())
        document["findings"] += incarnation.findings.listed
        _count_omitted(document["omitted"], incarnation.findings.counts)
        document["compared"] |= one[0].id in kept
    strays = [_unread(error) for error in unreadable]
    strays += _look_for_absent(checked, streams, kept, declarations)
    _say_what_was_pruned(checked, streams, declarations)
    _say_what_was_recovered(pairs)
    return _result(list(streams.values()), strays)


def _empty(stream: tuple[str, str]) -> dict[str, Any]:
    counts = {"segments": 0, "bytes": 0, "compared": False}
    return {
        "directory": printable(stream[0]),
        "stem": printable(stream[1]),
        **counts,
        "incarnations": [],
        "findings": [],
        "omitted": {},
    }


def _count_omitted(omitted: dict[str, int], counts: dict[str, int]) -> None:
    for kind, count in counts.items():
        if count > MAX_LISTED:
            omitted[kind] = omitted.get(kind, 0) + count - MAX_LISTED


def _anchors_in(segments: list[Segment]) -> list[Anchor]:
    """Return the checkpoints of earlier incarnations that the AUDIT_OPEN of an incarnation carries."""
    try:
        with open(os.path.join(segments[0].directory, segments[0].name), "rb") as file:
            raw, _ = next(split_lines(read_gzip(file) if segments[0].gz else read_plain(file)), (b"", 0))
    except OSError:
        return []
    line = parse_line(raw[:-1]) if raw.endswith(b"\n") else None
    fields = parse_record(line.record) if line is not None and not line.altered and line.seq == 0 else None
    if fields is None or fields["event_type"] != "AUDIT_OPEN" or not isinstance(fields["data"], dict):
        return []
    anchors = []
    for incarnation, note in previous_of(fields["data"]):
        checkpoint = parse_checkpoint(note)
        if checkpoint is not None and checkpoint.origin.endswith("/" + incarnation):
            anchors.append(Anchor(checkpoint, "", f"AUDIT_OPEN of {segments[0].id}"))
    return anchors


def _check(
    segments: list[Segment], anchors: list[Anchor], declarations: Declarations, *, is_newest: bool
) -> Incarnation:
    incarnation = Incarnation(segments[0].id, {anchor.checkpoint.size for anchor in anchors})
    gone = declarations.beginning(segments)
    if gone is not None:
        incarnation.resume(gone)
    for number, segment in enumerate(segments):
        last = number == len(segments) - 1
        incarnation.begin(segment, NEVER if last else segments[number + 1].first)
        _read(incarnation, segment, last=last, is_newest=is_newest)
    incarnation.place = ("", 0, -1)
    incarnation.finish()
    if anchors:
        incarnation.compare(anchors)
    return incarnation


def _read(incarnation: Incarnation, segment: Segment, *, last: bool, is_newest: bool) -> None:
    path, number, byte = os.path.join(segment.directory, segment.name), 0, 0
    try:
        live = last and (is_newest or is_locked(path))
        with open(path, "rb") as file:
            for raw, length in split_lines(read_gzip(file) if segment.gz else read_plain(file)):
                number += 1
                incarnation.place = (printable(segment.name), number, byte)
                if raw.endswith(b"\n"):
                    incarnation.take(raw[:-1])
                else:
                    incarnation.rest(raw, last=last, live=live)
                byte += length
    except OSError as error:
        incarnation.place = (printable(segment.name), number + 1, byte)
        incarnation.unreadable(f"the file cannot be read: {error.strerror}")


def _unread(error: OSError) -> dict[str, Any]:
    findings = Findings("")
    findings.add(
        "unreadable",
        "undecided",
        f"the directory cannot be read: {error.strerror}",
        place=(printable(str(error.filename)), 0, -1),
    )
    return findings.listed[0]


def _look_for_absent(
    checked: list[Incarnation],
    streams: dict[tuple[str, str], dict[str, Any]],
    kept: dict[str, list[Anchor]],
    declarations: Declarations,
) -> list[dict[str, Any]]:
    """Find incarnations that are named somewhere and are not here; return the findings that belong to no stream."""
    here = {incarnation.id for incarnation in checked}
    missed: set[tuple[int, str]] = set()
    documents = list(streams.values())
    for number, document in enumerate(documents):
        inside = {summary["incarnation"] for summary in document["incarnations"]}
        for incarnation in checked:
            if incarnation.id not in inside:
                continue
            for name, _ in incarnation.previous:
                inner = [anchor for anchor in kept.get(name, []) if anchor.source.startswith("AUDIT_OPEN of ")]
                if name not in here and (number, name) not in missed and not declarations.explain(name, inner):
                    missed.add((number, name))
                    findings = Findings(name)
                    findings.add("absent", "undecided", f"incarnation {incarnation.id} names it, and it is not here")
                    document["findings"] += findings.listed
    names = {incarnation.stream for incarnation in checked if incarnation.opened}
    strays = []
    for name, anchors in kept.items():
        outside = [anchor for anchor in anchors if not anchor.source.startswith("AUDIT_OPEN of ")]
        if name in here or not outside or declarations.explain(name, outside):
            continue
        findings = Findings(name)
        known = [a for a in outside if a.checkpoint.origin.rpartition("/")[0] in names]
        if known:
            findings.add("removed", "tampering", f"{known[0].source} shows that it was here")
        else:
            findings.add("stray", "undecided", f"{outside[0].source} is of another stream")
        strays += findings.listed
    return strays


def _say_what_was_pruned(
    checked: list[Incarnation], streams: dict[tuple[str, str], dict[str, Any]], declarations: Declarations
) -> None:
    sealed = {incarnation.id: incarnation.sealed for incarnation in checked}
    for name, used in declarations.used.items():
        findings = Findings(name)
        if sealed.get(used.by, 0) > used.seq:
            findings.add("pruned", "declared_gap", f"{used.by} declares records 0 to {used.records - 1} pruned")
        else:
            findings.add("pruned", "tampering", f"no good checkpoint covers what {used.by} declares pruned")
        for document in streams.values():
            if used.by in {summary["incarnation"] for summary in document["incarnations"]}:
                document["findings"] += findings.listed
                break


def _say_what_was_recovered(checked: list[tuple[list[Segment], Incarnation]]) -> None:
    """Turn a torn last line into a note where a later incarnation has the record (3.7)."""
    good = [
        (segments, one) for segments, one in checked if all(f["severity"] != "tampering" for f in one.findings.listed)
    ]
    for _, one in checked:
        if one.torn is None:
            continue
        seq, rest, finding = one.torn
        lines = (
            line
            for _, later in good
            if later.id > one.id
            for said in later.recovered
            if said["incarnation"] == one.id
            for line in _whole_lines(said, seq, later.id, good)
        )
        if any(line.startswith(rest) for line in lines):
            finding.update(kind="torn-recovered", severity="note", message="the last line is torn; its record is whole")


def _whole_lines(
    said: dict[str, Any], seq: int, by: str, good: list[tuple[list[Segment], Incarnation]]
) -> Iterator[bytes]:
    """Yield the lines that a torn one with this number may have begun, as the data of an AUDIT_RECOVERED says."""
    own = said.get("unfinished")
    record = own.encode("utf-8", "replace") if isinstance(own, str) else b""
    fields = parse_record(record)
    plain = record.startswith(b'{"seq":%d,"ts":"' % seq)
    if plain and fields is not None and fields["seq"] == seq and fields["event_type"].startswith("AUDIT_"):
        yield line_of(record, seq)
    into, runs = said.get("into"), said.get("runs")
    where = into if isinstance(into, str) and into else by
    for run in runs if isinstance(runs, list) else []:
        if not isinstance(run, list) or len(run) != 3 or not all(type(n) is int and 0 <= n < NEVER for n in run):
            continue
        old, new, count = run
        if old <= seq < old + count:
            found = (find_record(segments, new + seq - old) for segments, one in good if one.id == where)
            yield from (line_of(record, seq) for record in found if record is not None)


def line_of(record: bytes, seq: int) -> bytes:
    """Return the line of a record under this number (2)."""
    record = b'{"seq":%d' % seq + record[record.index(b",") :]
    digest = hashlib.sha256(b"\x00" + record).digest()
    return record[:-1] + b',"hash":"' + base64.b64encode(digest) + b'"}\n'


def find_record(segments: list[Segment], seq: int) -> bytes | None:
    """Return the record with this number that counts, None if it is not there or does not match its hash."""
    holders = [segment for segment in segments if segment.first <= seq]
    if not holders:
        return None
    try:
        with open(os.path.join(holders[-1].directory, holders[-1].name), "rb") as file:
            for raw, _ in split_lines(read_gzip(file) if holders[-1].gz else read_plain(file)):
                line = parse_line(raw[:-1]) if raw.endswith(b"\n") else None
                if line is not None and line.seq == seq and not line.altered:
                    return line.record
    except OSError:
        pass  # it became a finding when it was checked
    return None


def _result(streams: list[dict[str, Any]], strays: list[dict[str, Any]]) -> dict[str, Any]:
    severities = {finding["severity"] for finding in strays}
    for document in streams:
        compared = document.pop("compared")
        document["verdicts"] = {
            dimension: _worst({f["severity"] for f in document["findings"] if f["dimension"] == dimension}) or "fine"
            for dimension in ("integrity", "completeness", "authenticity", "anchoring")
        }
        if not compared and document["verdicts"]["anchoring"] == "fine":
            document["verdicts"]["anchoring"] = "not_compared"
        severities |= {finding["severity"] for finding in document["findings"]}
    if not streams:
        severities.add("undecided")
    worst = _worst(severities)
    code = 0 if worst is None else SEVERITIES.index(worst) + 1
    return {"exit_code": code, "conclusion": CONCLUSIONS[code], "streams": streams, "strays": strays}


def _worst(severities: set[str]) -> str | None:
    return next((severity for severity in SEVERITIES if severity in severities), None)


# --- the command --------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = _Parser(
        prog="verify_audit.py",
        description="Verify riskbus audit logs: recompute every hash, tree and signature from the bytes alone.",
        epilog="exit codes:\n"
        "  0   fine\n"
        "  1   tampering: records were altered, removed, reordered or added\n"
        "  2   damage: torn or unreadable lines\n"
        "  3   cannot decide: seals or whole incarnations are absent, or there is nothing to verify\n"
        "  4   intact, with gaps that the log itself declares: lost events, pruned segments\n"
        "  64  wrong usage\n"
        "\n"
        "anchors:\n"
        "  A checkpoint that was kept away from the volume shows truncation and roll-back, which nothing on\n"
        "  the volume itself can. Give the output of the container (kubectl logs), RiskAuditReports as JSON\n"
        "  (kubectl get riskauditreports -o json), or a signed note.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", metavar="DIR", nargs="+", help="a log's directory, or one above several")
    parser.add_argument(
        "--anchor", metavar="FILE", action="append", default=[], help="compare with the anchors in FILE"
    )
    parser.add_argument("--json", action="store_true", help="write the result as one JSON document (docs/format.md, 8)")
    return parser.parse_args(arguments)


def _directories(names: list[str]) -> list[str]:
    for name in names:
        if not os.path.isdir(name):
            raise UsageError(f"{name} is not a directory; give the directory that holds the audit log's segments")
    return names


def _anchors(file: str) -> list[Anchor]:
    try:
        with open(file, "rb") as opened:
            return parse_anchors(opened.read(), file)
    except OSError as error:
        raise UsageError(f"the anchor {file} cannot be read: {error.strerror}") from None


def _as_text(result: dict[str, Any]) -> Iterator[str]:
    for document in result["streams"]:
        summaries = document["incarnations"]
        yield os.path.join(document["directory"], document["stem"])
        for name in ("records", "events", "sealed", "unsealed", "anchored"):
            yield f"  {name + ':':<14} {sum(summary[name] for summary in summaries):,}"
        for dimension, verdict in document["verdicts"].items():
            yield f"  {dimension + ':':<14} {verdict.replace('_', ' ')}"
        for kind, count in document["omitted"].items():
            yield f"  {count:,} more findings of the kind {kind} are not listed"
    for finding in [f for document in result["streams"] for f in document["findings"]] + result["strays"]:
        place = f"line {finding['line']}, seq {finding['seq']}, byte {finding['byte']}"
        where = finding["file"] or finding["incarnation"]
        yield f"{finding['severity']}, {finding['kind']}: {finding['message']} [{where}, {place}]"
    if not result["streams"]:
        yield "There is no audit log."
    yield f"{result['conclusion']} (exit code {result['exit_code']})"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    options = _options(arguments)
    try:
        anchors = [anchor for file in options.anchor for anchor in _anchors(file)]
        result = verify(_directories(options.directory), anchors)
    except UsageError as error:
        sys.stderr.write(f"verify_audit.py: {error}\n")
        return USAGE
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    if options.json:
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        sys.stdout.write("".join(line + "\n" for line in _as_text(result)))
    return int(result["exit_code"])


if __name__ == "__main__":
    sys.exit(main())
