"""Records that an earlier process had accepted and could not write any more.

Its ring outlived it. The next writer of the same log finds the ring, leaves out what reached the volume, and takes the
rest over under new numbers, followed by an AUDIT_RECOVERED that says which.
"""

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from riskbus.format.record import renumber
from riskbus.runtime.staging import CONTROL, Staging
from riskbus.store.ring import Held, Ring, find_abandoned
from riskbus.store.stream import last_seq

Record = Callable[[str, dict[str, Any]], None]
"""Stages one of the log's own records."""


class Inheritance:
    """The rings of ended processes that belong to this log. Belongs to the writer's thread."""

    def __init__(self, staging: Staging, log_path: Path, record: Record) -> None:
        self._staging = staging
        self._log_path = log_path
        self._record = record
        self._searched = False
        self._rings: list[Ring] = []
        self._waiting: deque[tuple[Ring, Held]] = deque()
        self._moved: dict[str, list[tuple[int, int]]] = {}  # old and new numbers by incarnation
        self._last = -1  # the last number that was given to a record taken over

    def find(self, directory: Path) -> None:
        """Look for rings, once; raises OSError if the log's directory cannot be read, and may then be called again."""
        if self._searched:
            return
        status = os.stat(f"{self._log_path.parent}/.")  # noqa: PTH116 -- the dot refuses a file in the directory's place
        stream = (status.st_dev, status.st_ino)
        self._staging.ring.belong_to(*stream)
        self._rings = find_abandoned(directory, stream, str(self._log_path))
        for ring in self._rings:
            ring.forget_moved(self._rings)
        for ring in self._rings:
            missing = [(ring, held) for held in self._missing(ring)]
            before = [item for item in missing if item[1].seq <= ring.moved_to]
            self._waiting = deque([*before, *self._waiting, *missing[len(before) :]])
        self._searched = True

    def take_over(self) -> None:
        """Take over as many records as the ring has room for."""
        while self._waiting:
            if self._staging.room <= self._staging.ring.slots // 2:
                return  # the other half is for those who publish now
            self._take_over_one(*self._waiting.popleft())
        for ring in self._rings:
            if ring.incarnation in self._moved:
                self._record("AUDIT_RECOVERED", _payload(ring.incarnation, self._moved.pop(ring.incarnation)))
        if self._rings and self._staging.ring.path is not None:
            self._bury()

    def durable(self, seq: int) -> None:
        """Remove the rings when what they held is durable, if it was taken over into private memory only."""
        if self._rings and not self._waiting and seq >= self._last:
            self._bury()

    def _missing(self, ring: Ring) -> list[Held]:
        written = last_seq(self._log_path.parent, self._log_path.stem, ring.incarnation)
        return [held for held in ring.held() if held.seq > written and held.kind < CONTROL]

    def _take_over_one(self, ring: Ring, held: Held) -> None:
        self._last = seq = self._staging.claim()
        record = renumber(seq, held.record)
        if self._staging.ring.path is not None:
            ring.hand_on(held, self._staging.ring, seq, record)
        self._staging.put(seq, record, held.kind)
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
