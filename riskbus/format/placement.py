"""Where the records of emergency copies belong in a directory. Pure: what is there in, what is to be done out.

A record goes back to its own incarnation only where the result is a log as its writer could have left it: right after
the last record, before any AUDIT_CLOSE, and not so long after the last seal that the seal would be missed. Every other
event goes into an incarnation of its own kind, which is sealed and names where each came from. What a living writer, or
one that takes over the ring, will still write is left to it.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import compress, count, groupby
from operator import not_
from typing import NamedTuple

from riskbus.events import RESERVED_PREFIX
from riskbus.format.contents import SEAL_PATIENCE_NS
from riskbus.format.emergency import Emergency
from riskbus.format.record import decode


class Conflict(NamedTuple):
    """A record that is refused because another one has its number.

    Attributes:
        copy: the emergency copy.
        other: the record that has the number, in the log or in another copy.
    """

    copy: Emergency
    other: bytes


@dataclass(slots=True)
class Standing:
    """How an incarnation stands in the directory.

    Attributes:
        stream: as its AUDIT_OPEN says, "" if that is not there.
        segments: the highest number of a segment, plus one.
        next_seq: the number after its last record.
        closed: whether it ended with AUDIT_CLOSE.
        sealed_ns: time of its last checkpoint, None if it has none.
        busy: whether its own records may still be written by its process, or by the one that takes over its ring.
    """

    stream: str = ""
    segments: int = 0
    next_seq: int = 0
    closed: bool = False
    sealed_ns: int | None = None
    busy: bool = False


@dataclass(slots=True)
class Inventory:
    """What a directory holds, as far as it concerns some emergency copies.

    Attributes:
        standings: every incarnation.
        held: the records that have a number which was asked about, by incarnation and number.
        bodies: digests of those events among the copies that are there, under whatever number.
    """

    standings: dict[str, Standing] = field(default_factory=dict)
    held: dict[tuple[str, int], bytes] = field(default_factory=dict)
    bodies: set[bytes] = field(default_factory=set)


@dataclass(slots=True)
class Plan:
    """What becomes of each copy.

    Attributes:
        present: is in the log already, or a later incarnation took it over.
        appended: goes to the end of its incarnation; the records are contiguous.
        adopted: events that go into an incarnation of their own, in this order.
        waiting: is left to the process that will write it.
        dropped: one of the log's own records, for which there is no place any more.
        foreign: belongs to an incarnation that is not of this log, as far as one can tell.
        conflicts: is refused.
    """

    present: list[Emergency] = field(default_factory=list)
    appended: dict[str, list[Emergency]] = field(default_factory=dict)
    adopted: list[Emergency] = field(default_factory=list)
    waiting: list[Emergency] = field(default_factory=list)
    dropped: list[Emergency] = field(default_factory=list)
    foreign: list[Emergency] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)

    @property
    def writes(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.appended or self.adopted)


def body_digest(record: bytes) -> bytes:
    """Return what identifies an event wherever it stands: the hash of its record without the number."""
    return sha256(record[record.index(b",") :]).digest()


def make_plan(copies: Iterable[Emergency], inventory: Inventory, *, unknown: bool = False) -> Plan:
    """Decide what becomes of each copy; `unknown` takes those of incarnations too that nothing ties to this log."""
    plan = Plan()
    groups: dict[str, list[Emergency]] = defaultdict(list)
    for copy in _without_predecessors(copies, plan):
        groups[copy.incarnation].append(copy)
    for incarnation, group in sorted(groups.items()):
        if unknown or incarnation in inventory.standings or _opened_here(group, inventory):
            _place(group, inventory, plan)
        else:
            plan.foreign += group
    return plan


def _without_predecessors(copies: Iterable[Emergency], plan: Plan) -> list[Emergency]:
    """Leave out events that a later incarnation took over, which shows in copies of its own; sort the rest."""
    newest: dict[bytes, Emergency] = {}
    for copy in sorted(copies, key=lambda copy: (copy.incarnation, copy.seq if copy.seq >= 0 else 1 << 63)):
        digest = body_digest(copy.record)
        if digest in newest:
            plan.present.append(newest.pop(digest))
        newest[digest] = copy
    return list(newest.values())


def _opened_here(group: list[Emergency], inventory: Inventory) -> bool:
    """Whether an incarnation that never reached the volume says itself that it is of this log's stream."""
    streams = {standing.stream for standing in inventory.standings.values() if standing.stream}
    opening = next((copy for copy in group if copy.seq == 0), None)
    data = decode(opening.record)["data"] if opening else None
    return isinstance(data, dict) and (not inventory.standings or data.get("stream") in streams)


def _place(group: list[Emergency], inventory: Inventory, plan: Plan) -> None:
    incarnation = group[0].incarnation
    missing = _missing(group, inventory, plan)
    standing = inventory.standings.get(incarnation)
    if standing and standing.busy:
        plan.waiting += [copy for copy in missing if copy.seq >= 0]
        missing = [copy for copy in missing if copy.seq < 0]
    run = _run(missing, standing) if standing else []
    if run:
        plan.appended[incarnation] = run
    placed = {copy.seq for copy in run}
    for copy in missing:
        if copy.seq not in placed:
            (plan.dropped if _is_control(copy) else plan.adopted).append(copy)


def _missing(group: list[Emergency], inventory: Inventory, plan: Plan) -> list[Emergency]:
    """Return the copies of one incarnation that are nowhere in the log, without those that are refused."""
    missing: list[Emergency] = []
    for seq, same in groupby(group, key=lambda copy: copy.seq):
        copies = list(same)
        held = inventory.held.get((copies[0].incarnation, seq))
        if held is not None:
            plan.present += [copy for copy in copies if copy.record == held]
            plan.conflicts += [Conflict(copy, held) for copy in copies if copy.record != held]
        elif seq >= 0 and len(copies) > 1:
            plan.conflicts += [Conflict(copy, copies[index - 1].record) for index, copy in enumerate(copies)]
        else:
            found = [body_digest(copy.record) in inventory.bodies for copy in copies]
            plan.present += compress(copies, found)
            missing += compress(copies, map(not_, found))
    return missing


def _run(missing: list[Emergency], standing: Standing) -> list[Emergency]:
    """Return the copies that may follow the incarnation's last record."""
    if standing.closed or standing.sealed_ns is None:
        return []
    by_seq = {copy.seq: copy for copy in missing}
    run: list[Emergency] = []
    now = sealed = standing.sealed_ns
    for seq in count(standing.next_seq):
        if seq not in by_seq:
            break
        fields = decode(by_seq[seq].record)
        if fields["event_type"] == "AUDIT_CLOSE":  # it would ask for a seal after it
            break
        now = fields["timestamp_ns"] if type(fields["timestamp_ns"]) is int else now
        sealed = now if fields["event_type"] == "AUDIT_CHECKPOINT" else sealed
        run.append(by_seq[seq])
    return run if now - sealed <= SEAL_PATIENCE_NS else []


def _is_control(copy: Emergency) -> bool:
    return str(decode(copy.record)["event_type"]).startswith(RESERVED_PREFIX)
