"""Segments whose time is over: which they are, what must be said about them, and removing them.

Only whole segments, from the oldest of a stream on, only such as are sound, and none before it is declared by an
AUDIT_PRUNED record that a checkpoint covers. So whoever comes later can tell what was pruned from what was removed.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from riskbus.clock import ClockStatus
from riskbus.errors import FormatError
from riskbus.format import checkpoint
from riskbus.format.canonical import is_count
from riskbus.format.merkle import Tree
from riskbus.format.names import SegmentName
from riskbus.format.pruning import KIND, Pruned, parse_pruned
from riskbus.format.record import decode, from_line, leaf_hash, read
from riskbus.store import posix
from riskbus.store.declarations import control_records
from riskbus.store.reading import compressed_path, find_last, open_segment
from riskbus.store.stream import list_segments

_DAY_NS = 24 * 3600 * 10**9
_FUTURE_NS = 60 * 10**9  # a record so far ahead of the clock says that the clock was set back
_MOST = 200  # segments in one AUDIT_PRUNED, so that the record stays small


@dataclass(frozen=True, slots=True)
class Rules:
    """When a segment may go.

    Attributes:
        days: that must have passed since its newest record.
        keep: closed segments of a stream that stay, however old they are.
        now_ns: the time, in nanoseconds since the epoch.
        clock: how well it is known; nothing expires by a clock that nobody keeps.
    """

    days: int
    keep: int
    now_ns: int
    clock: ClockStatus


def find_expired(directory: Path, stem: str, own: str, rules: Rules) -> Iterator[Pruned]:
    """Yield what may be pruned from a stream, incarnation by incarnation.

    Args:
        directory: where the stream is.
        stem: of its segments' names.
        own: the incarnation that asks; its newest segment always stays.
        rules: when a segment may go.

    Raises:
        FormatError: a segment is old enough and not sound; it stays, and so does what follows it.
        OSError: something cannot be read.
    """
    names = _names(directory, stem)
    closed = [name for name in names[:-1] if not posix.is_locked(directory / str(name))]
    closed = [name for name in closed if name.incarnation != own or name != _newest_of(names, own)]
    droppable = set(closed[: max(len(closed) - rules.keep, 0)])
    if not droppable or not rules.clock.synchronized or _last_ns(directory, names[-1]) > rules.now_ns + _FUTURE_NS:
        return
    for incarnation, group in groupby(names, key=attrgetter("incarnation")):
        segments = list(group)
        reading = _Reading(directory, incarnation, segments[0].first_seq)
        gone = reading.take(segments, droppable, rules.now_ns - rules.days * _DAY_NS)
        if gone is not None:
            yield gone
        if gone is None or len(gone.segments) < len(segments):
            return  # from the oldest on: what comes after something that stays, stays


def find_declared(directory: Path, stem: str, own: str) -> list[Pruned]:
    """Return what an incarnation declared last to be pruned, as far as a checkpoint covers it; raises OSError."""
    sealed = 0
    for name in reversed([name for name in _names(directory, stem) if name.incarnation == own]):
        declared = []
        for seq, kind, data in control_records(directory / str(name)):
            if kind == KIND:
                declared.append((seq, parse_pruned(data)))
            elif kind == "AUDIT_CHECKPOINT":
                sealed = max(sealed, checkpoint.parse(str(data["note"])).size)
        if declared:
            return [pruned for seq, pruned in declared if seq < sealed]
    return []


def remove(directory: Path, pruned: Pruned) -> int:
    """Remove the segments that were declared, the oldest first, and return how many files went; raises OSError."""
    count = 0
    for name in pruned.segments:
        path = directory / name
        if posix.is_locked(path):
            break
        for file in (path, compressed_path(path)):
            with suppress(FileNotFoundError):
                file.unlink()
                count += 1
    posix.sync_directory(directory)
    return count


class _Reading:
    """Reads an incarnation's first segments, and remembers what must be said about them when they are gone."""

    def __init__(self, directory: Path, incarnation: str, first_seq: int) -> None:
        self._directory = directory
        self._now = _nothing(incarnation)
        if first_seq:
            self._now = _declared_before(directory, incarnation, first_seq)
        self._tree = Tree(self._now.records, self._now.edge)
        self._pending: list[bytes] = []  # leaves that the next checkpoint may not cover

    def take(self, segments: list[SegmentName], droppable: set[SegmentName], limit_ns: int) -> Pruned | None:
        """Return what must be said about the first segments that may go and are older than the limit."""
        gone: Pruned | None = None
        names: list[str] = []
        for name, after in zip(segments, [*segments[1:], None], strict=True):
            if name not in droppable or len(names) == _MOST or _last_ns(self._directory, name) >= limit_ns:
                break
            if self._read(name, after.first_seq if after else None) >= limit_ns:
                break
            names.append(str(name))
            gone = replace(self._now, segments=tuple(names), edge=self._edge())
        return gone

    def _read(self, name: SegmentName, taken_over_at: int | None) -> int:
        """Read one segment, and return the time of its newest record."""
        newest = -1
        with open_segment(self._directory / str(name)) as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break  # torn, or a copy that never became whole
                record, stated = from_line(line)
                fields = read(record)
                if taken_over_at is not None and fields["seq"] >= taken_over_at:
                    break  # copies: they stand in the next segment
                if fields["seq"] != self._now.records or leaf_hash(record) != stated:
                    raise FormatError(f"{name} is not sound at record {self._now.records}")
                newest = max(newest, fields["timestamp_ns"])
                self._pending.append(stated)
                try:
                    self._add(fields)
                except (KeyError, TypeError, ValueError):
                    raise FormatError(f"{name} is not sound at record {fields['seq']}: its payload is not") from None
        if taken_over_at is not None and self._now.records != taken_over_at:
            raise FormatError(f"{name} lacks record {self._now.records}")
        return newest

    def _add(self, fields: dict[str, Any]) -> None:
        now, kind = self._now, fields["event_type"]
        data = fields["data"] if isinstance(fields["data"], dict) else {}
        self._now = now = replace(
            now,
            records=now.records + 1,
            first_ts=now.first_ts or fields["ts"],
            last_ts=fields["ts"],
            last_ns=fields["timestamp_ns"],
        )
        if kind == "AUDIT_OPEN":
            previous = tuple((str(item["incarnation"]), str(item["checkpoint"])) for item in data["previous"])
            key, stream = str(data["public_key"]), str(data["stream"])
            self._now = replace(now, stream=stream, public_key=key, previous=previous)
        elif kind == "AUDIT_CHECKPOINT":
            self._check(str(data["note"]))
        elif kind == "AUDIT_CLOSE":
            self._now = replace(now, closed=True)
        elif kind == "AUDIT_GAP":
            self._now = replace(now, gap_events=now.gap_events + (data["events"] if is_count(data["events"]) else 0))
        elif not kind.startswith("AUDIT_"):
            self._now = replace(now, events=now.events + 1)

    def _check(self, note: str) -> None:
        seal = checkpoint.verify(note, self._now.public_key)
        count = seal.size - self._tree.size
        if count < 0:
            return  # it covers less than what was pruned before
        for leaf in self._pending[:count]:
            self._tree.append(leaf)
        del self._pending[:count]
        if self._tree.size != seal.size or self._tree.root() != seal.root:
            raise FormatError(f"record {self._now.records - 1} seals other records than those before it")
        self._now = replace(self._now, sealed=seal.size)

    def _edge(self) -> bytes:
        tree = Tree(self._tree.size, self._tree.edge)
        for leaf in self._pending:
            tree.append(leaf)
        return tree.edge


def _nothing(incarnation: str) -> Pruned:
    return Pruned(incarnation, "", "", (), (), 0, b"", 0, 0, 0, "", "", -1, closed=False)


def _declared_before(directory: Path, incarnation: str, records: int) -> Pruned:
    for name in reversed(list_segments(directory)):
        for _, kind, data in control_records(directory / str(name)):
            if kind == KIND and data.get("incarnation") == incarnation and data.get("records") == records:
                return parse_pruned(data)
    raise FormatError(f"what comes before record {records} of {incarnation} is neither here nor declared as pruned")


def _names(directory: Path, stem: str) -> list[SegmentName]:
    return [name for name in list_segments(directory) if name.stem == stem]


def _newest_of(names: list[SegmentName], incarnation: str) -> SegmentName | None:
    return max((name for name in names if name.incarnation == incarnation), default=None)


def _last_ns(directory: Path, name: SegmentName) -> int:
    return find_last(directory / str(name), _timestamp) or 0


def _timestamp(line: bytes) -> int | None:
    try:
        return int(decode(from_line(line)[0])["timestamp_ns"])
    except (FormatError, TypeError, ValueError):
        return None
