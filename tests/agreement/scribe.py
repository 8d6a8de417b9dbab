"""Writes logs that are the same bytes each time, with keys made from a fixed seed: for tests and test vectors only."""

import struct
from base64 import b64encode
from hashlib import sha256
from typing import Any
from uuid import UUID
from zlib import crc32

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from riskbus.format.merkle import Tree
from riskbus.format.output import ANCHOR
from riskbus.format.record import dumps, leaf_hash, to_line
from riskbus.stamps import timestamp

STREAM = "trading/intraday-jules/risk_audit"
STEM = "risk_audit"
START_NS = 1_768_487_425_123_000_000  # 2026-01-15T14:30:25.123Z


class Scribe:
    """Writes one incarnation. Incarnations are numbered from 0, the oldest first.

    Attributes:
        incarnation: 32 hexadecimal digits.
        lines: every line so far, each with its line feed.
        notes: every checkpoint so far.
        key: the verifier key.
    """

    def __init__(self, number: int = 0, stream: str = STREAM, seed: str = "") -> None:
        self.incarnation = f"019bc1e35d637{number:03x}8{number:015x}"
        self.lines: list[bytes] = []
        self.notes: list[str] = []
        self.now_ns = START_NS + number * 3600 * 10**9
        self._stream = stream
        self._name = f"{stream}/{self.incarnation}"
        self._private = Ed25519PrivateKey.from_private_bytes(sha256(f"{number} {stream} {seed}".encode()).digest())
        public = b"\x01" + self._private.public_key().public_bytes_raw()
        self._key_id = sha256(self._name.encode() + b"\n" + public).digest()[:4]
        self.key = f"{self._name}+{self._key_id.hex()}+{b64encode(public).decode()}"
        self._roots = [sha256(b"").digest()]
        self._tree = Tree()

    def add(self, record: bytes, *, line: bytes | None = None) -> None:
        """Add a record; another line in its place if there is one, whose leaf is the record's all the same."""
        leaf = leaf_hash(record)
        self._tree.append(leaf)
        self._roots.append(self._tree.root())
        self.lines.append(to_line(record, leaf) if line is None else line)

    def record(self, kind: str, data: object, **fields: Any) -> bytes:
        """Return the next record, without adding it."""
        seq = len(self.lines)
        self.now_ns += 1_001_001
        values: dict[str, object] = {
            "seq": seq,
            "ts": timestamp(self.now_ns),
            "event_id": str(UUID(int=(0x019BC1E3 << 96) | 0x7000 << 64 | 0x8 << 60 | self.now_ns % 2**60)),
            "event_type": kind,
            "priority": "NORMAL",
            "source": "riskbus" if kind.startswith("AUDIT_") else "PositionLimits",
            "data": data,
            "metadata": {},
            "timestamp_ns": self.now_ns,
        }
        return dumps(values | fields)

    def open(self, *previous: "Scribe", **data: Any) -> "Scribe":
        """Add AUDIT_OPEN, after these incarnations."""
        opening = {
            "format_version": 1,
            "stream": self._stream,
            "incarnation": self.incarnation,
            "public_key": self.key,
            "previous": [
                {"incarnation": one.incarnation, "checkpoint": one.notes[-1] if one.notes else ""} for one in previous
            ],
        }
        self.add(self.record("AUDIT_OPEN", opening | data))
        return self

    def events(self, count: int) -> "Scribe":
        """Add so many events."""
        for _ in range(count):
            self.add(self.record("LIMIT_BREACH", {"limit": 1000, "position": 1000 + len(self.lines)}, priority="HIGH"))
        return self

    def control(self, kind: str, **data: Any) -> "Scribe":
        """Add a control record."""
        self.add(self.record(kind, data))
        return self

    def root(self, size: int) -> bytes:
        """Return the root over the first `size` records."""
        return self._roots[size]

    def sign(self, size: int, root: bytes | None = None) -> str:
        """Return the note for the first `size` records, or for another root."""
        text = f"{self._name}\n{size}\n{b64encode(root or self.root(size)).decode()}\n"
        signature = b64encode(self._key_id + self._private.sign(text.encode())).decode()
        return f"{text}\n— {self._name} {signature}\n"

    def checkpoint(self, behind: int = 0, note: str | None = None) -> "Scribe":
        """Add a checkpoint that covers everything but the last `behind` records, or with this note."""
        self.notes.append(self.sign(len(self.lines) - behind) if note is None else note)
        return self.control("AUDIT_CHECKPOINT", note=self.notes[-1])

    def close(self) -> "Scribe":
        """Add AUDIT_CLOSE and the last checkpoint."""
        return self.control("AUDIT_CLOSE", records=len(self.lines)).checkpoint()

    def wait(self, seconds: int) -> "Scribe":
        """Let time go by."""
        self.now_ns += seconds * 10**9
        return self

    def name(self, number: int, first: int) -> str:
        """Return the name of a segment."""
        return f"{STEM}-{self.incarnation}-{number:06d}-{first:012d}.jsonl"

    def files(self, *ends: int) -> dict[str, bytes]:
        """Return the segments: each ends before one of these numbers, and the last one where the log does."""
        starts = [0, *ends]
        bounds = zip(starts, [*ends, len(self.lines)], strict=True)
        return {self.name(n, start): b"".join(self.lines[start:end]) for n, (start, end) in enumerate(bounds)}

    def anchors(self) -> bytes:
        """Return what standard output said."""
        return b"".join(ANCHOR + dumps({"key": self.key, "note": note}) + b"\n" for note in self.notes)


def gzip_member(data: bytes) -> bytes:
    """Return a gzip member, not really smaller, whose bytes do not depend on the version of zlib."""
    block = struct.pack("<BHH", 1, len(data), len(data) ^ 0xFFFF) + data
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + block + struct.pack("<II", crc32(data), len(data))


def finished(number: int = 0, *previous: Scribe) -> Scribe:
    """Return a small log that ended in order."""
    return Scribe(number).open(*previous).checkpoint().events(3).checkpoint(behind=1).events(2).close()
