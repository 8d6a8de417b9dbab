"""Taking stock of a log for emergency copies: which of them are there, and how each incarnation stands."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from riskbus.errors import FormatError
from riskbus.format.emergency import Emergency
from riskbus.format.names import SegmentName
from riskbus.format.placement import Inventory, Standing, body_digest
from riskbus.format.record import decode, from_line
from riskbus.store import posix
from riskbus.store.reading import open_segment, stored_size

Progress = Callable[[int], object]
"""Told how many more bytes were read."""

_SEQ = re.compile(rb'\{"seq":(\d{1,18}),')
_CONTROL = b'"event_type":"AUDIT_'


def take_stock(
    segments: Mapping[SegmentName, Path],
    copies: Iterable[Emergency],
    numbers: Iterable[tuple[str, int]],
    taken_care_of: Callable[[str], bool],
    progress: Progress,
) -> Inventory:
    """Read a log from the device and say what concerns these copies.

    Args:
        segments: of the log, with their paths; in whichever directories, compressed or not.
        copies: what is asked about.
        numbers: incarnations and numbers that are asked about besides.
        taken_care_of: says of an incarnation whether another process will still write its records.
        progress: told of each segment that was read, by its size.

    Raises:
        OSError: the log cannot be read, or what it holds cannot be made durable.
    """
    inventory = Inventory()
    wanted = {*numbers, *((copy.incarnation, copy.seq) for copy in copies)}
    bodies = {body_digest(copy.record) for copy in copies}
    for incarnation, group in groupby(sorted(segments), key=lambda name: name.incarnation):
        names = list(group)
        newest = segments[names[-1]]
        standing = Standing(segments=names[-1].n + 1, next_seq=names[-1].first_seq)
        standing.busy = posix.is_locked(newest) or taken_care_of(incarnation)
        if not standing.busy:
            _read_from_device(newest)
        for seq, record in _records([(name, segments[name]) for name in names], progress):
            standing.next_seq = max(standing.next_seq, seq + 1)
            digest = body_digest(record)
            if digest in bodies:
                inventory.bodies.add(digest)
            if (incarnation, seq) in wanted:
                inventory.held[incarnation, seq] = record
            if _CONTROL in record:
                _note(standing, record)
        inventory.standings[incarnation] = standing
    return inventory


def _read_from_device(path: Path) -> None:
    with suppress(FileNotFoundError):  # it is compressed, so it was complete
        posix.forget_cached(path)
        if not posix.sync_file(path):
            raise OSError(f"{path} cannot be made durable; replace the volume, or ingest into a copy of the directory")
        posix.forget_cached(path)


def _records(segments: list[tuple[SegmentName, Path]], progress: Progress) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes of each record that counts, in order."""
    limits = [*(name.first_seq for name, _ in segments[1:]), None]
    for (_, path), limit in zip(segments, limits, strict=True):
        with open_segment(path) as file:
            for line in file:
                begun = _SEQ.match(line)
                seq = int(begun[1]) if begun else -1
                if not begun or (limit is not None and seq >= limit) or not line.endswith(b"\n"):
                    continue
                with suppress(FormatError):
                    yield seq, from_line(line)[0]
        progress(stored_size(path))


def _note(standing: Standing, record: bytes) -> None:
    try:
        fields = decode(record)
    except FormatError:
        return
    kind, data = fields["event_type"], fields["data"]
    if kind == "AUDIT_OPEN" and isinstance(data, dict):
        standing.stream = str(data.get("stream", ""))
    elif kind == "AUDIT_CLOSE":
        standing.closed = True
    elif kind == "AUDIT_CHECKPOINT":
        standing.sealed_ns = fields["timestamp_ns"] if type(fields["timestamp_ns"]) is int else 0
