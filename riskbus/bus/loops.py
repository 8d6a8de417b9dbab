"""Serves the mailboxes of async handlers on their event loops."""

import asyncio
import threading
from contextlib import suppress

from riskbus.bus.delivery import Delivery
from riskbus.bus.mailbox import Mailbox, serving
from riskbus.bus.queueing import DropReason

_TURN_EVENTS = 64
"""Events of one mailbox before the loop's other tasks get their turn, also when no handler ever suspends."""

_AFTER_CANCEL_SECONDS = 0.05
"""Until a task that was cancelled has another one go on: a loop that is about to close cancels them all, and is."""


class LoopServer:
    """Serves mailboxes on one event loop.

    Each mailbox is one task at a time, so events of one priority and subscription stay in order while CRITICAL does not
    wait for a handler that awaits something for a LOW event.

    Thread-safety: `schedule` and `look` from any thread; they do not wait for the loop.

    Args:
        loop: The running event loop, asyncio's own or a compatible one such as uvloop's.
        delivery: Calls the handlers.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, delivery: Delivery) -> None:
        self.loop = loop
        self._delivery = delivery
        self._tasks: set[asyncio.Task[None]] = set()
        self._claimed: set[Mailbox] = set()  # what waits for the loop, or is being served there

    def schedule(self, mailbox: Mailbox) -> None:
        """Have a claimed mailbox served. A loop that is closed drops what waits, and says so."""
        self._claimed.add(mailbox)
        try:
            self.loop.call_soon_threadsafe(self._start, mailbox)
        except RuntimeError:
            self.look()

    def look(self) -> None:
        """Drop what waits for the loop if it was closed, which it tells nobody."""
        if self.loop.is_closed():
            self._tasks.clear()  # what was in the middle of a handler never goes on
        while self.loop.is_closed() and self._claimed:
            with suppress(KeyError):  # another thread was faster
                mailbox = self._claimed.pop()
                lost = mailbox.seal(DropReason.LOOP_CLOSED)
                mailbox.release()
                self._delivery.drop(mailbox.subscription, lost, DropReason.LOOP_CLOSED)

    def _start(self, mailbox: Mailbox) -> None:
        task = self.loop.create_task(self._serve(mailbox))
        self._tasks.add(task)  # the loop itself keeps only a weak reference
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, mailbox: Mailbox) -> None:
        serving.set(mailbox)  # a task has a context of its own
        try:
            for _ in range(_TURN_EVENTS):
                if not await self._delivery.call_next_async(mailbox):
                    break
        except asyncio.CancelledError:
            self.loop.call_later(_AFTER_CANCEL_SECONDS, self._start, mailbox)
            raise
        self._claimed.discard(mailbox)
        if mailbox.release():
            self.schedule(mailbox)


class LoopThread:
    """An event loop in a thread of its own, for async handlers that were subscribed outside any loop."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="riskbus-asyncio", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the loop after the callbacks it is in. Does not wait."""
        with suppress(RuntimeError):  # it has ended already
            self.loop.call_soon_threadsafe(self.loop.stop)

    def _run(self) -> None:
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()
