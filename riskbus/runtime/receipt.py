"""What append and publish return."""

import asyncio
from _thread import allocate_lock
from collections.abc import Generator
from contextlib import suppress
from typing import Any

from riskbus.quantities import timeout_seconds
from riskbus.runtime.progress import Progress


class Receipt:
    """The claim check for one event's record. Thread-safe.

    `await receipt` waits without blocking the event loop and gives True when the record is durable, False when it never
    will be.

    Attributes:
        progress: how far its incarnation is durable.
        seq: the record's number in its incarnation; -1 if the log could not take it (it is in the emergency stream).
    """

    __slots__ = ("progress", "seq")

    def __init__(self, seq: int, progress: Progress) -> None:
        self.seq = seq
        self.progress = progress

    @property
    def durable(self) -> bool:
        """Whether fdatasync returned for the record. Never true before."""
        return 0 <= self.seq <= self.progress.durable_seq

    def wait_durable(self, timeout: float | None = None) -> bool:
        """Wait until the record is durable.

        Args:
            timeout: seconds to wait at most; None waits until it is durable or never will be.

        Returns:
            Whether it is durable.

        Raises:
            SettingsError: `timeout` is no number.
        """
        seconds = -1 if timeout is None else timeout_seconds(timeout)
        if self.durable or self.seq < 0:
            return self.durable
        settled = allocate_lock()
        settled.acquire()

        def release() -> None:
            with suppress(RuntimeError):  # called twice
                settled.release()

        self.progress.when_settled(self.seq, release)
        settled.acquire(timeout=seconds)
        return self.durable

    def __await__(self) -> Generator[Any, None, bool]:
        if self.durable or self.seq < 0:
            return self.durable
        loop = asyncio.get_running_loop()
        settled = loop.create_future()

        def settle() -> None:
            if not settled.done():
                settled.set_result(None)

        def from_writer() -> None:
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(settle)

        self.progress.when_settled(self.seq, from_writer)
        yield from settled
        return self.durable

    def __repr__(self) -> str:
        return f"Receipt(seq={self.seq}, durable={self.durable})"
