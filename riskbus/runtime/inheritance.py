"""Records that an earlier process had accepted and could not write any more.

Its ring outlived it. The next writer of the same log finds the ring, leaves out what reached the volume, and takes the
rest over under new numbers, followed by an AUDIT_RECOVERED that says which.

A process that is killed in the middle of a write leaves half a line, which is no damage only if AUDIT_RECOVERED says
where its record is now, or, of a record of the log's own, what it was to be. So this is said before that record moves,
and said again by the next heir if this one is killed before it has written it.
"""

import os
from collections import deque
from pathlib import Path
from typing import Any

from riskbus.errors import FormatError
from riskbus.format.record import decode, with_number
from riskbus.format.recovery import KIND, Recovered, parse_recovered
from riskbus.runtime.ancestry import directories
from riskbus.runtime.control import Record, inherited_payload
from riskbus.runtime.feed import Feed
from riskbus.runtime.staging import CONTROL
from riskbus.settings import AuditSettings
from riskbus.store.ring import Ring
from riskbus.store.ring_files import find_abandoned
from riskbus.store.ring_words import Held
from riskbus.store.stream import End, find_end

_LONGEST_QUOTE = 16 << 10  # bytes; the log's own records are far shorter, and each quotation of one makes it longer

_Numbered = tuple[str, int]
"""A record: its incarnation and its number there."""


class Inheritance:
    """The rings of ended processes that belong to this log. Belongs to the writer's thread."""

    def __init__(self, feed: Feed, settings: AuditSettings, record: Record) -> None:
        self._feed = feed
        self._settings = settings
        self._log_path = settings.path
        self._record = record
        self._rings: list[Ring] = []
        self._waiting: deque[tuple[Ring, Held]] = deque()
        self._torn: set[_Numbered] = set()  # records of which half a line is on the volume
        self._earlier: dict[_Numbered, list[_Numbered]] = {}  # what other heirs had taken over, and from where
        self._moved: dict[str, list[tuple[int, int]]] = {}  # old and new numbers by incarnation, not yet said
        self._unsaid: list[dict[str, Any]] = []  # what else there is to say
        self._last = -1  # the last number that must be durable before the rings may go

    def find(self, directory: Path) -> None:
        """Look for rings of processes that have ended; raises OSError if the log's directory cannot be read."""
        status = os.stat(f"{self._log_path.parent}/.")  # noqa: PTH116 -- the dot refuses a file in the directory's place
        self._feed.ring.stream = stream = (status.st_dev, status.st_ino)
        found = find_abandoned(directory, stream, str(self._log_path))
        for ring in found:
            ring.forget_moved([*self._rings, *found])
        where = directories(self._settings) if found else []
        try:
            stands = [(ring, self._end_of(ring, where), ring.held()) for ring in found]
        except OSError:  # they stay abandoned, for the next look
            for ring in found:
                ring.give_up()
            raise
        self._rings += found
        for ring, end, held in stands:
            items = [(ring, one) for one in self._missing(ring, end, held)]
            before = [item for item in items if item[1].seq <= ring.moved_to]
            self._waiting = deque([*before, *self._waiting, *items[len(before) :]])

    @property
    def waiting(self) -> bool:
        """Whether there are records to take over as soon as there is room."""
        return bool(self._waiting)

    def take_over(self) -> None:
        """Take over as many records as the ring has room for."""
        while self._waiting:
            ring = self._feed.ring
            if self._feed.claimed - ring.released >= ring.slots // 2:
                return  # the other half is for those who publish now
            self._take_over_one(*self._waiting.popleft())
        self._say()

    def durable(self, seq: int) -> None:
        """Remove the rings when what they held is durable, and what there was to say of it."""
        if self._rings and not self._waiting and not self._unsaid and seq >= self._last:
            self._bury()

    def release(self) -> None:
        """Leave what is not yet removed to whoever comes next; for the end, and for the child after a fork."""
        for ring in self._rings:
            ring.give_up()
        self._rings = []
        self._waiting.clear()

    def _end_of(self, ring: Ring, where: list[Path]) -> End:
        return find_end(where, self._log_path.stem, ring.incarnation)

    def _missing(self, ring: Ring, end: End, held: list[Held]) -> list[Held]:
        if end.torn:
            self._torn.add((ring.incarnation, end.seq + 1))
        missing = [one for one in held if one.seq > end.seq]
        for one in missing:
            if one.kind >= CONTROL:
                self._hear(ring.incarnation, one, end)
        return [one for one in missing if one.kind < CONTROL]

    def _hear(self, incarnation: str, own: Held, end: End) -> None:
        """Take note of what a record of the log's own would have said, which is not on the volume."""
        record = with_number(own.seq, own.body)
        if (incarnation, own.seq) in self._torn and len(record) <= _LONGEST_QUOTE:
            self._repeat(inherited_payload(incarnation, [], unfinished=record.decode("utf-8", "replace")))
        said = _recovered(record)
        if said is None:
            return
        pairs = [(old + step, new + step) for old, new, count in said.runs for step in range(count)]
        written = [pair for pair in pairs if said.into or pair[1] <= end.seq]
        for old, new in pairs:
            if not said.into and new > end.seq:
                self._earlier.setdefault((incarnation, new), []).append((said.incarnation, old))
        if written or said.unfinished:
            into = said.into or incarnation
            self._repeat(inherited_payload(said.incarnation, written, into=into, unfinished=said.unfinished))

    def _repeat(self, payload: dict[str, Any]) -> None:
        """Say what an earlier heir had to say; of several that had it from each other, once."""
        if payload not in self._unsaid:
            self._unsaid.append(payload)

    def _take_over_one(self, ring: Ring, held: Held) -> None:
        self._last = seq = self._feed.claim()
        torn = False
        for incarnation, old in self._origins((ring.incarnation, held.seq)):
            self._moved.setdefault(incarnation, []).append((old, seq))
            torn = torn or (incarnation, old) in self._torn
        if torn:
            self._say()
        try:
            ring.hand_on(held, self._feed.ring, seq)
        except OSError:  # a long one, and shared memory is full or none: the old ring keeps it until it is durable
            self._feed.put(seq, held.body, held.kind)

    def _origins(self, record: _Numbered) -> list[_Numbered]:
        """Return where a record came from: the ring that holds it, and those from which that had taken it over."""
        found = [record]
        for one in found:  # which grows meanwhile; each heir names all earlier places of a record
            found += [place for place in self._earlier.pop(one, []) if place not in found]
        return found

    def _say(self) -> None:
        moved = [inherited_payload(incarnation, pairs) for incarnation, pairs in self._moved.items()]
        self._moved = {}
        for payload in [*self._unsaid, *moved]:
            self._record(KIND, payload)
            self._last = self._feed.claimed - 1
        self._unsaid = []

    def _bury(self) -> None:
        for ring in self._rings:
            ring.remove()
            ring.give_up()
        self._rings = []


def _recovered(record: bytes) -> Recovered | None:
    """Return what a record says of an earlier incarnation, None if it is about something else."""
    try:
        fields = decode(record)
    except FormatError:
        return None
    return parse_recovered(fields["data"]) if fields["event_type"] == KIND else None
