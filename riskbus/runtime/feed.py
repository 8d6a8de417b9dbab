"""The writer's side of the hand-over: where records come from, in order of their numbers."""

from _thread import allocate_lock
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter_ns
from typing import Protocol

from riskbus.runtime.progress import Progress
from riskbus.runtime.staging import Staged, Staging
from riskbus.settings import AuditSettings
from riskbus.store.ring import Ring


class Feed(Protocol):
    """What a writer needs of the publishers, in its own process or in another.

    Attributes:
        ring: the shared memory.
    """

    ring: Ring

    @property
    def claimed(self) -> int:
        """How many numbers were claimed."""

    def claim(self) -> int:
        """Return the next number; whoever calls this must `put` a record with that number. Any thread."""

    def put(self, seq: int, body: bytes, kind: int) -> None:
        """Put down the body for a claimed number. Any thread."""

    def stage(self, body: bytes, kind: int) -> None:
        """Claim the next number and put down the body for it. Any thread."""

    def declare(self, seq: int) -> None:
        """Note that the writer itself writes the record with this number; its publisher gets another."""

    def waiting_aside(self, seq: int, most: int) -> list[Staged]:
        """Return the records from this number on that wait outside the ring."""

    def wait(self, seconds: float) -> None:
        """Wait until someone wakes the writer, or for so long."""

    def settings(self) -> AuditSettings:
        """Return the settings as they are in force now."""

    def settled(self) -> None:
        """Tell those who wait that more is durable."""


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


class Bell:
    """Ends the wait of a writer in this process. Any thread may ring it."""

    def __init__(self) -> None:
        self._signal = allocate_lock()
        self._signal.acquire()

    def ring(self) -> None:
        """End the wait."""
        with suppress(RuntimeError):  # it was awake
            self._signal.release()

    def wait(self, seconds: float) -> None:
        """Wait until someone rings, or for so long. One thread only."""
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
        self._call_back = progress.call_back

    @property
    def claimed(self) -> int:
        """How many numbers were claimed."""
        return self._staging.claimed

    def settled(self) -> None:
        """Tell those who wait that more is durable."""
        self._call_back([(self.ring.released, perf_counter_ns())])
