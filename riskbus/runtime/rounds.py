"""The writer's turns while all is well: many in a row without the interpreter, which publishers need meanwhile.

Each time that a writer in this process wants the interpreter's lock, some publisher has to wait; so where riskbus is
compiled, a turn that is as usual does not want it. What is unusual is left to the writer's own turn.
"""

import os
from time import monotonic
from typing import NamedTuple

from riskbus.native import hot
from riskbus.runtime.batch import Intake
from riskbus.runtime.feed import Feed
from riskbus.runtime.journal import Journal
from riskbus.runtime.progress import Moment
from riskbus.settings import AuditSettings, Durability

TICK = 0.005  # seconds between two batches while records come: each sync is work for the disk, and so for its processor
_LEAST = 0.0002  # seconds that others get between two batches where the disk is slower than that
_REST = 0.005  # seconds between two looks while none come; urgent records wake the writer at once
_LONGEST = 0.2  # seconds after which metrics and moments are told, and the chores are looked for
_OPENING = 2  # records: AUDIT_OPEN and its seal
_SECOND_NS = 1_000_000_000
_FAR_AWAY = 1e9  # seconds

_new = getattr(hot, "Rounds", None)  # not there where libcrypto is not


class Done(NamedTuple):
    """What was done in some rounds.

    Attributes:
        kinds: how many records became durable, by kind.
        size: bytes of their lines.
        syncs: seconds that each sync took.
        moments: what became durable when, if someone waits or listens.
        error: what the kernel said at last.
        usual: whether they ended because it was time, and not because of a record or an error.
    """

    kinds: list[int]
    size: int
    syncs: list[float]
    moments: list[Moment]
    error: OSError | None
    usual: bool


class Rounds:
    """The waits between one writer's turns, and its usual turns. Belongs to its thread, but for `abandon`.

    Attributes:
        turn_at: when the latest turn began, in seconds of the monotonic clock.
        busy_at: when the latest turn began in which there were records.
    """

    def __init__(self, feed: Feed, intake: Intake, journal: Journal) -> None:
        self._feed, self._wait, self._intake, self._journal = feed, feed.wait, intake, journal
        self.turn_at = self.busy_at = monotonic()
        self._compiled = None
        if _new is not None and (feed.bell or feed.descriptors):
            memory, slots = feed.ring.memory, feed.ring.slots
            self._compiled = _new(memory, slots, feed.bell, feed.descriptors, _ns(_LEAST), _ns(_REST))

    def abandon(self) -> None:
        """Let nothing become durable any more in these rounds. Any thread."""
        if self._compiled is not None:
            self._compiled.abandoned = True

    def go(self, settings: AuditSettings, until: float, seal_at: float) -> Done | None:
        """Wait for the next turn, and go on with usual ones if that is possible; None if it is not.

        Args:
            settings: as they are in force.
            until: when to end, in seconds of the monotonic clock.
            seal_at: when to end if there were events.
        """
        intake = self._intake
        tick = 0 if settings.durability is Durability.SYNC else TICK
        segment = self._journal.steady_segment
        if self._compiled is None or segment is None or intake.next < _OPENING or settings.durability is Durability.OS:
            self._wait(self._pause(tick))
            return None
        until = min(until, monotonic() + _LONGEST, segment.created + settings.rotation_max_age)
        room = settings.rotation_max_size - segment.size
        done = self._compiled.go(
            segment.descriptor,
            intake.next,
            self._near(),
            intake.edge,
            self._journal.day,
            room,
            _ns(until),
            _ns(seal_at),
            _ns(tick),
            _ns(self.turn_at),
            _ns(self.busy_at),
            intake.full,
        )
        intake.next, intake.edge, kinds, size, syncs, moments, turn_ns, busy_ns, intake.full, error, usual = done
        self._feed.ring.overflow.release(self._feed.ring.released)
        self.turn_at, self.busy_at = turn_ns / _SECOND_NS, busy_ns / _SECOND_NS
        cause = OSError(error, os.strerror(error)) if error else None
        return Done(kinds, size, [nanoseconds / _SECOND_NS for nanoseconds in syncs], moments, cause, usual)

    def _near(self) -> int:
        """Return the first number that may lie beside the ring.

        Where everything is durable that was claimed, whoever comes next finds as many free slots as there are.
        """
        following, ring = self._intake.next, self._feed.ring
        idle = following < ring.spilled and self._feed.claimed == ring.released
        return following + ring.slots if idle else following

    def _pause(self, tick: float) -> float:
        if self._intake.full:
            return 0
        now = monotonic()
        if not tick or now - self.busy_at >= 1:
            return _REST
        return max(self.turn_at + tick - now, _LEAST)  # from turn to turn, however long the last one took


def _ns(seconds: float) -> int:
    return round(min(max(seconds, 0), _FAR_AWAY) * _SECOND_NS)
