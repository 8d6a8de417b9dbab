"""Takes an event to a subscriber: on this thread, to a worker, or to an event loop."""

import asyncio
import threading

from riskbus.bus.delivery import Delivery
from riskbus.bus.loops import LoopServer, LoopThread
from riskbus.bus.subscription import Subscription
from riskbus.bus.workers import Workers
from riskbus.events import RiskEvent


class Dispatcher:
    """Owns the threads and event loops that run handlers.

    Thread-safety: every method from any thread; `dispatch` from signal handlers too.

    Args:
        max_workers: Most threads that run handlers.
        delivery: Calls the handlers.
    """

    def __init__(self, max_workers: int, delivery: Delivery) -> None:
        self._delivery = delivery
        self._workers = Workers(max_workers, delivery.call_next)
        self._lock = threading.Lock()
        self._loop_thread: LoopThread | None = None
        self._loops: dict[asyncio.AbstractEventLoop, LoopServer] = {}

    def attach(self, subscription: Subscription, loop: asyncio.AbstractEventLoop | None) -> None:
        """Decide where a subscription's handler runs: an async one on this loop, or on one of the bus for None."""
        if subscription.is_async:
            server = self._loop_server(loop)
            subscription.loop = server.loop
            subscription.schedule = server.schedule
        else:
            subscription.schedule = self._workers.schedule

    def start(self) -> None:
        """Start the workers, if that was not done yet."""
        self._workers.start()

    def dispatch(self, subscription: Subscription, event: RiskEvent, published_ns: int) -> None:
        """Take an event to a subscriber."""
        if subscription.inline:
            self._delivery.call(subscription, event, published_ns)
            return
        mailbox = subscription.mailboxes[event.priority]
        if not mailbox.offer(event, published_ns):
            subscription.note_drops(1, "its queue is full, or it unsubscribed")
        elif mailbox.claim():
            subscription.schedule(mailbox)

    def stop(self) -> None:
        """Let every thread end after the handler it is in. Does not wait."""
        self._workers.stop()
        with self._lock:
            if self._loop_thread is not None:
                self._loop_thread.stop()

    def _loop_server(self, loop: asyncio.AbstractEventLoop | None) -> LoopServer:
        with self._lock:
            if loop is None:
                self._loop_thread = self._loop_thread or LoopThread()
                loop = self._loop_thread.loop
            return self._loops.setdefault(loop, LoopServer(loop, self._delivery))
