"""Records that an earlier process had accepted and could not write any more.

Its ring outlived it. The next writer of the same log finds the ring, leaves out what reached the volume, and takes the
rest over under new numbers, followed by an AUDIT_RECOVERED that says which.
"""

import os
from collections import deque
from pathlib import Path
from typing import Any

from riskbus.runtime.control import Record
from riskbus.runtime.feed import Feed
from riskbus.runtime.staging import CONTROL
from riskbus.store.ring import Held, Ring
from riskbus.store.ring_files import find_abandoned
from riskbus.store.stream import last_seq


class Inheritance:
    """The rings of ended processes that belong to this log. Belongs to the writer's thread."""

    def __init__(self, feed: Feed, log_path: Path, record: Record) -> None:
        self._feed = feed
        self._log_path = log_path
        self._record = record
        self._rings: list[Ring] = []
        self._waiting: deque[tuple[Ring, Held]] = deque()
        self._moved: dict[str, list[tuple[int, int]]] = {}  # old and new numbers by incarnation
        self._last = -1  # the last number that was given to a record taken over

    def find(self, directory: Path) -> None:
        """Look for rings of processes that have ended; raises OSError if the log's directory cannot be read."""
        status = os.stat(f"{self._log_path.parent}/.")  # noqa: PTH116 -- the dot refuses a file in the directory's place
        stream = (status.st_dev, status.st_ino)
        self._feed.ring.device, self._feed.ring.inode = stream
        found = find_abandoned(directory, stream, str(self._log_path))
        self._rings += found
        for ring in found:
            ring.forget_moved(self._rings)
        for ring in found:
            missing = [(ring, held) for held in self._missing(ring)]
            before = [item for item in missing if item[1].seq <= ring.moved_to]
            self._waiting = deque([*before, *self._waiting, *missing[len(before) :]])

    def take_over(self) -> None:
        """Take over as many records as the ring has room for."""
        while self._waiting:
            ring = self._feed.ring
            if self._feed.claimed - ring.released >= ring.slots // 2:
                return  # the other half is for those who publish now
            self._take_over_one(*self._waiting.popleft())
        for ring in self._rings:
            if ring.incarnation in self._moved:
                self._record("AUDIT_RECOVERED", _payload(ring.incarnation, self._moved.pop(ring.incarnation)))

    def durable(self, seq: int) -> None:
        """Remove the rings when what they held is durable."""
        if self._rings and not self._waiting and seq >= self._last:
            self._bury()

    def _missing(self, ring: Ring) -> list[Held]:
        written = last_seq(self._log_path.parent, self._log_path.stem, ring.incarnation)
        return [held for held in ring.held() if held.seq > written and held.kind < CONTROL]

    def _take_over_one(self, ring: Ring, held: Held) -> None:
        self._last = seq = self._feed.claim()
        try:
            ring.hand_on(held, self._feed.ring, seq)
        except OSError:  # a long one, and shared memory is full or none: the old ring keeps it until it is durable
            self._feed.put(seq, held.body, held.kind)
        self._moved.setdefault(ring.incarnation, []).append((held.seq, seq))

    def _bury(self) -> None:
        for ring in self._rings:
            ring.remove()
            ring.give_up()
        self._rings = []


def _payload(incarnation: str, moved: list[tuple[int, int]]) -> dict[str, Any]:
    """Return the payload of AUDIT_RECOVERED: runs of old number, new number and how many."""
    runs: list[list[int]] = []
    for old, new in moved:
        if runs and old == runs[-1][0] + runs[-1][2] and new == runs[-1][1] + runs[-1][2]:
            runs[-1][2] += 1
        else:
            runs.append([old, new, 1])
    return {
        "cause": "their process ended before they were written",
        "incarnation": incarnation,
        "records": len(moved),
        "runs": runs[:1000],  # a bound for the record's size; more than a few are rare
    }
