"""Takes an event to the subscribers whose handlers run elsewhere: on a worker, or on an event loop."""

import asyncio
import threading
from collections.abc import Iterable
from time import monotonic

from riskbus.bus.completion import awaited
from riskbus.bus.delivery import Delivery
from riskbus.bus.loops import LoopServer, LoopThread
from riskbus.bus.mailbox import Item, Mailbox, serving
from riskbus.bus.queueing import DropReason, WhenFull, size_of
from riskbus.bus.subscription import Subscription
from riskbus.bus.workers import Workers
from riskbus.events import EventPriority, RiskEvent

_FULL = (DropReason.QUEUE_EVENTS, DropReason.QUEUE_BYTES)

Patient = list[tuple[Mailbox, Item]]
"""Deliveries for which `publish` may wait a little."""


class Dispatcher:
    """Owns the event loops that run handlers, and knows the workers.

    Thread-safety: every method from any thread; `dispatch` and `wait_for_room` from signal handlers too.

    Args:
        delivery: Calls the handlers.
        workers: Run synchronous handlers.
    """

    def __init__(self, delivery: Delivery, workers: Workers) -> None:
        self._delivery = delivery
        self._workers = workers
        self._lock = threading.Lock()
        self._loop_thread: LoopThread | None = None
        self._loops: dict[asyncio.AbstractEventLoop, LoopServer] = {}

    def attach(self, subscription: Subscription, loop: asyncio.AbstractEventLoop | None) -> None:
        """Decide where a handler runs; for an async one, None means the loop that runs here, else one of the bus."""
        if subscription.is_async:
            server = self._loop_server(loop or _running_loop())
            subscription.loop = server.loop
            subscription.schedule = server.schedule
        else:
            subscription.schedule = self._workers.schedule

    def dispatch(self, subscriptions: Iterable[Subscription], event: RiskEvent, published_ns: int) -> Patient:
        """Queue an event for its subscribers; return for whom `wait_for_room` is to wait."""
        completion = awaited.get()
        if completion is not None and completion.event is not event:
            completion = None  # an inline handler publishes something else
        size, patient = 0, []
        for subscription in subscriptions:
            if subscription.bounds.size is not None and not size:
                size = size_of(event)
            item = Item(event, published_ns, size, completion)
            if completion is not None:
                completion.expect()
            if not self._offer(subscription, item):
                patient.append((subscription.mailboxes[event.priority], item))
        return patient

    def wait_for_room(self, patient: Patient) -> None:
        """Wait for room for events whose subscriptions ask for that."""
        began = monotonic()
        for mailbox, item in patient:
            subscription = mailbox.subscription
            seconds = float(subscription.bounds.block_seconds)  # a Decimal cannot be added to the clock's float
            refused = mailbox.offer_patiently(item, began + seconds)
            self._settle(mailbox, item, refused)

    def look_at_loops(self) -> None:
        """Drop what waits for loops that were closed."""
        with self._lock:
            servers = list(self._loops.values())
        for server in servers:
            server.look()

    def stop(self) -> None:
        """Let the loop's thread end after the callbacks it is in. Does not wait."""
        with self._lock:
            if self._loop_thread is not None:
                self._loop_thread.stop()

    def _offer(self, subscription: Subscription, item: Item) -> bool:
        mailbox = subscription.mailboxes[item.event.priority]
        if subscription.quarantined and mailbox.priority is not EventPriority.CRITICAL:
            self._settle(mailbox, item, DropReason.QUARANTINED)
            return True
        refused = mailbox.offer(item)
        if refused in _FULL:
            if subscription.bounds.when_full is WhenFull.DROP_OLDEST:
                self._delivery.drop(subscription, mailbox.drop_oldest(item.size), refused)
                refused = mailbox.offer(item)
            elif subscription.bounds.when_full is WhenFull.BLOCK and _may_wait(mailbox):
                return False
        self._settle(mailbox, item, refused)
        return True

    def _settle(self, mailbox: Mailbox, item: Item, refused: DropReason | None) -> None:
        if refused is not None:
            self._delivery.drop(mailbox.subscription, [item], refused)
        elif mailbox.claim():
            mailbox.subscription.schedule(mailbox)

    def _loop_server(self, loop: asyncio.AbstractEventLoop | None) -> LoopServer:
        with self._lock:
            if loop is None:
                self._loop_thread = self._loop_thread or LoopThread()
                loop = self._loop_thread.loop
            return self._loops.setdefault(loop, LoopServer(loop, self._delivery))


def _may_wait(mailbox: Mailbox) -> bool:
    if mailbox.priority is EventPriority.CRITICAL:
        return False
    mine = serving.get()
    if mine is not None and mine.subscription is mailbox.subscription:
        return False
    return _running_loop() is None


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
