"""The writer's side of the hand-over: where records come from, in order of their numbers."""

from _thread import allocate_lock
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from riskbus.runtime.progress import Moment, Progress
from riskbus.runtime.staging import Staged, Staging
from riskbus.settings import AuditSettings
from riskbus.store.ring import Ring


class Bell(Protocol):
    """Ends the wait of a writer in this process."""

    def ring(self) -> None:
        """End the wait, or the next one. Any thread; does not block."""

    def wait(self, seconds: float) -> None:
        """Wait until someone rings, or for so long. One thread only."""


class Feed(Protocol):
    """What a writer needs of the publishers, in its own process or in another.

    Attributes:
        ring: the shared memory.
        bell: the compiled bell that `wait` waits for; None if it waits for something else.
        descriptors: what it waits for instead, first what someone rings at; none if it is something else.
    """

    ring: Ring
    bell: Bell | None
    descriptors: tuple[int, ...]

    @property
    def claimed(self) -> int:
        """How many numbers were claimed."""

    def claim(self) -> int:
        """Return the next number; whoever calls this must `put` a record with that number. Any thread."""

    def put(self, seq: int, body: bytes, kind: int) -> int:
        """Put down the body for a claimed number; return the number that it has. Any thread."""

    def stage(self, body: bytes, kind: int) -> object:
        """Claim the next number and put down the body for it. Any thread."""

    def declare(self, seq: int) -> None:
        """Note that the writer itself writes the record with this number; its publisher gets another."""

    def waiting_aside(self, seq: int, most: int) -> list[Staged]:
        """Return the records from this number on that wait outside shared memory."""

    def wait(self, seconds: float) -> None:
        """Wait until someone wakes the writer, or for so long."""

    def settings(self) -> AuditSettings:
        """Return the settings as they are in force now."""

    def settled(self, moments: Sequence[Moment]) -> None:
        """Tell those who wait, or listen, what became durable when."""


def take(feed: Feed, seq: int, most: int) -> list[Staged]:
    """Return the next records from this number on, in order, at most so many."""
    batch = feed.ring.take(seq, most)
    while feed.ring.overflowing and len(batch) < most:
        following = seq + len(batch)
        more = feed.waiting_aside(following, most - len(batch)) or feed.ring.take(following, most - len(batch))
        if not more:
            break
        batch += more
    return batch


class LockBell:
    """A bell in Python."""

    def __init__(self) -> None:
        self._signal = allocate_lock()
        self._signal.acquire()

    def ring(self) -> None:
        """End the wait, or the next one."""
        with suppress(RuntimeError):  # it was rung before
            self._signal.release()

    def wait(self, seconds: float) -> None:
        """Wait until someone rings, or for so long."""
        self._signal.acquire(timeout=seconds)


class LocalFeed:
    """The feed of a writer that is a thread beside the publishers."""

    def __init__(self, staging: Staging, bell: Bell, progress: Progress, settings: Callable[[], AuditSettings]) -> None:
        self._staging = staging
        self.settings = settings
        self.ring = staging.ring
        self.claim = staging.claim
        self.put = staging.put
        self.stage = staging.stage
        self.declare = staging.declare
        self.waiting_aside = staging.waiting_aside
        self.wait = bell.wait
        self.bell: Bell | None = None if isinstance(bell, LockBell) else bell
        self.descriptors: tuple[int, ...] = ()
        self.settled = progress.call_back

    @property
    def claimed(self) -> int:
        """How many numbers were claimed."""
        return self._staging.claimed
