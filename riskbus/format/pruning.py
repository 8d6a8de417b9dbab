"""What AUDIT_PRUNED says about segments that were removed because their time was over.

They are an incarnation's first ones, so that one number and the edge of the Merkle tree at it are enough to check what
is left: every later root follows from them.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from riskbus.errors import FormatError
from riskbus.format.canonical import is_count, unbase64
from riskbus.format.merkle import Tree
from riskbus.format.record import is_timestamp

KIND = "AUDIT_PRUNED"
_TEXTS = ("incarnation", "stream", "public_key", "root", "first_ts", "last_ts")
_COUNTS = ("records", "sealed", "events", "gap_events")
_HASH = 32  # bytes of SHA-256


@dataclass(frozen=True, slots=True)
class Pruned:
    """The beginning of an incarnation that is gone.

    Attributes:
        incarnation: which one.
        stream: as its AUDIT_OPEN said.
        public_key: as its AUDIT_OPEN said.
        previous: the incarnations that its AUDIT_OPEN named, and the notes of their last checkpoints.
        segments: the names of the files that this record is about, in order; earlier ones may have gone before.
        records: numbers below this one are gone.
        edge: of the Merkle tree over them: 32 bytes for each bit of `records`, the largest subtree first.
        sealed: how many of them the newest checkpoint among them covered.
        events: how many of them were not the log's own.
        gap_events: events that AUDIT_GAP records among them declared lost.
        first_ts, last_ts: times of the first and the last of them.
        last_ns: `timestamp_ns` of the last of them.
        closed: whether AUDIT_CLOSE was among them.
    """

    incarnation: str
    stream: str
    public_key: str
    previous: tuple[tuple[str, str], ...]
    segments: tuple[str, ...]
    records: int
    edge: bytes
    sealed: int
    events: int
    gap_events: int
    first_ts: str
    last_ts: str
    last_ns: int
    closed: bool

    def payload(self, retention_days: int) -> dict[str, Any]:
        """Return the payload of AUDIT_PRUNED."""
        return {
            "reason": f"older than {retention_days} days",
            "incarnation": self.incarnation,
            "stream": self.stream,
            "public_key": self.public_key,
            "previous": [{"incarnation": name, "checkpoint": note} for name, note in self.previous],
            "segments": list(self.segments),
            "records": self.records,
            "root": b64encode(Tree(self.records, self.edge).root()).decode(),
            "edge": [b64encode(self.edge[start : start + 32]).decode() for start in range(0, len(self.edge), 32)],
            "sealed": self.sealed,
            "events": self.events,
            "gap_events": self.gap_events,
            "first_ts": self.first_ts,
            "last_ts": self.last_ts,
            "timestamp_ns": self.last_ns,
            "closed": self.closed,
        }


def parse_pruned(data: Mapping[str, Any]) -> Pruned:
    """Read the payload of AUDIT_PRUNED.

    Raises:
        FormatError: something is missing, of another type, or does not fit the rest.
    """
    simple = all(isinstance(data.get(name), str) for name in _TEXTS) and all(is_count(data.get(n)) for n in _COUNTS)
    lists = _are_texts(data.get("segments")) and _are_texts(data.get("edge")) and _are_earlier(data.get("previous"))
    if (
        not simple
        or not lists
        or not is_timestamp(data.get("timestamp_ns"))
        or not isinstance(data.get("closed"), bool)
    ):
        raise FormatError("not what AUDIT_PRUNED says: something is missing, or of another type")
    pruned = Pruned(
        incarnation=data["incarnation"],
        stream=data["stream"],
        public_key=data["public_key"],
        previous=tuple((item["incarnation"], item["checkpoint"]) for item in data["previous"]),
        segments=tuple(data["segments"]),
        records=data["records"],
        edge=b"".join(map(_node, data["edge"])),
        sealed=data["sealed"],
        events=data["events"],
        gap_events=data["gap_events"],
        first_ts=data["first_ts"],
        last_ts=data["last_ts"],
        last_ns=data["timestamp_ns"],
        closed=data["closed"],
    )
    fits = pruned.sealed <= pruned.records > 0 and len(pruned.edge) == _HASH * pruned.records.bit_count()
    if not fits or b64encode(Tree(pruned.records, pruned.edge).root()).decode() != data["root"]:
        raise FormatError("AUDIT_PRUNED contradicts itself: records, edge, root and sealed do not fit together")
    return pruned


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _are_earlier(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, dict) and isinstance(item.get("incarnation"), str) and isinstance(item.get("checkpoint"), str)
        for item in value
    )


def _node(text: str) -> bytes:
    node = unbase64(text)
    if len(node) != _HASH:
        raise FormatError("not what AUDIT_PRUNED says: its edge is not of hashes")
    return node
