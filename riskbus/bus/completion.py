"""Tells an event loop when every handler is done with an event."""

import asyncio
from collections import deque
from contextlib import suppress
from contextvars import ContextVar

from riskbus.events import RiskEvent


class Completion:
    """Waits for one event's queued deliveries.

    Thread-safety: `expect` before `wait`, on the loop's thread; `done` from any thread.

    Args:
        event: The event.

    Attributes:
        event: The event.
    """

    def __init__(self, event: RiskEvent) -> None:
        self.event = event
        self._outstanding: deque[None] = deque()
        self._loop = asyncio.get_running_loop()
        self._finished = self._loop.create_future()

    def expect(self) -> None:
        """Note one more delivery."""
        self._outstanding.append(None)

    def done(self) -> None:
        """Note the end of a delivery, whatever it was."""
        self._outstanding.pop()
        if not self._outstanding:
            with suppress(RuntimeError):  # the loop was closed meanwhile
                self._loop.call_soon_threadsafe(self._finish)

    async def wait(self) -> None:
        """Return when every delivery has ended."""
        if self._outstanding:
            await self._finished

    def _finish(self) -> None:
        if not self._outstanding and not self._finished.done():
            self._finished.set_result(None)


awaited: ContextVar[Completion | None] = ContextVar("awaited", default=None)
"""Who waits for the event that is being published here."""
