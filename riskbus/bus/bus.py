"""The bus as its users see it."""

import asyncio
import atexit
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from weakref import WeakSet

from prometheus_client import REGISTRY, CollectorRegistry

from riskbus.bus.delivery import Delivery
from riskbus.bus.loops import LoopServer, LoopThread
from riskbus.bus.mailbox import Mailbox
from riskbus.bus.metrics import collector_for
from riskbus.bus.statistics import BusStatistics, snapshot
from riskbus.bus.subscription import EventTypes, Handler, Subscription
from riskbus.bus.tally import Tallies
from riskbus.bus.workers import LEAST_WORKERS, Workers
from riskbus.errors import ClosedError, SettingsError
from riskbus.events import EventPriority, RiskEvent, event_type_name
from riskbus.runtime import AuditLog, Receipt

DEFAULT_CAPACITY = 10_000
"""Events of one priority that may wait for one subscription: seconds of a busy day, megabytes of memory."""

_EXIT_TIMEOUT = 5.0
_DRAIN_POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What `close` could not finish in its time; false when nothing was left.

    Attributes:
        undelivered: Events that a handler did not get, with the subscription's name; one that is in a handler's hands
            counts too.
        not_durable: Record lines (JSON) that were accepted and are not on durable storage.
    """

    undelivered: tuple[tuple[str, RiskEvent], ...]
    not_durable: tuple[bytes, ...]

    def __bool__(self) -> bool:
        return bool(self.undelivered or self.not_durable)


class RiskEventBus:
    """Publishes risk events: each is staged for the audit log first and then handed to its subscribers.

        with RiskEventBus() as bus:
            bus.subscribe(EventType.KILL_SWITCH, stop_trading, inline=True)
            receipt = bus.publish(event)

    CRITICAL events never wait behind others: they have a worker of their own, and `inline` handlers run on the
    publisher's thread. A handler that raises, hangs or publishes again harms nobody else.

    Thread-safety: every method from any thread, `publish` also from signal handlers and from handlers. A fork gives the
    child threads and an audit incarnation of its own; what waited in the parent stays the parent's.
    """

    def __init__(  # noqa: PLR0913 -- the settings of a bus; all but the first four by keyword only
        self,
        max_workers: int = 10,
        enable_latency_monitoring: bool = True,
        latency_slo_us: Mapping[EventPriority, float] | None = None,
        audit_log_path: str | os.PathLike[str] | None = None,
        *,
        audit_log: AuditLog | None = None,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        """Start the workers and the audit log.

        Args:
            max_workers: Most threads that run handlers; at least 2, of which one is reserved for CRITICAL.
            enable_latency_monitoring: Whether latencies are measured.
            latency_slo_us: Latency objective of each priority in microseconds; what is above it is counted.
            audit_log_path: The file that users follow. None takes it from RISK_AUDIT_LOG_PATH, else
                logs/risk_audit.jsonl.
            audit_log: A log that the caller has made, and closes; instead of `audit_log_path`.
            registry: Where the metrics appear.

        Raises:
            SettingsError: A setting is wrong.
        """
        if max_workers < LEAST_WORKERS:
            raise SettingsError(f"max_workers is {max_workers!r}; give at least {LEAST_WORKERS}: one is for CRITICAL")
        if audit_log is not None and audit_log_path is not None:
            raise SettingsError("audit_log and audit_log_path are both given; give one of them")
        self._max_workers = max_workers
        self._measure = enable_latency_monitoring
        self._objectives_ns = {priority: int(us * 1000) for priority, us in (latency_slo_us or {}).items()}
        self._owns_log = audit_log is None
        self._log = AuditLog(audit_log_path, registry=registry) if audit_log is None else audit_log
        self._closing = threading.Lock()
        self._closed = False
        self._unfinished: Unfinished | None = None
        self._subscriptions: tuple[Subscription, ...] = ()
        self._interested: dict[str, tuple[Subscription, ...]] = {}
        self._start()
        self._shown = collector_for(registry).add(self.statistics)
        _living.add(self)

    def _start(self) -> None:
        self._changing = threading.Lock()
        self._tallies = Tallies()
        self._delivery = Delivery(self._tallies, measure=self._measure, objectives_ns=self._objectives_ns)
        self._workers = Workers(self._max_workers, self._serve)
        self._loop_thread: LoopThread | None = None
        self._loops: dict[asyncio.AbstractEventLoop, LoopServer] = {}
        self._servers: dict[Subscription, LoopServer] = {}

    @property
    def audit_log(self) -> AuditLog:
        """The log that every published event is recorded in."""
        return self._log

    def subscribe(
        self,
        event_type: EventTypes,
        handler: Handler,
        *,
        name: str = "",
        inline: bool = False,
        capacity: int = DEFAULT_CAPACITY,
    ) -> Subscription:
        """Have a handler called with each event of a type.

        Args:
            event_type: One type, several, or None for all.
            handler: Takes one event. An async one runs on the running event loop, or on a loop of the bus if none runs
                where `subscribe` is called.
            name: Names it in logs and metrics; its own name if empty.
            inline: Run the handler on the publisher's thread, before `publish` returns. For what must not wait even
                for another thread to wake up, and is quick.
            capacity: Events of one priority that may wait for it; more are dropped, counted and logged. They are in the
                audit log all the same.

        Returns:
            What `unsubscribe` takes.

        Raises:
            SettingsError: An argument is wrong.
            ClosedError: The bus is closed.
        """
        if self._closed:
            raise ClosedError("this bus is closed; subscribe before close()")
        subscription = Subscription(event_type, handler, name=name, inline=inline, capacity=capacity)
        with self._changing:
            if subscription.is_async:
                self._servers[subscription] = self._loop_server()
            self._subscriptions = (*self._subscriptions, subscription)
            self._interested = {}
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Call a handler no more. Events that wait for it are dropped and counted; one it has in hand it finishes."""
        with self._changing:
            self._subscriptions = tuple(other for other in self._subscriptions if other is not subscription)
            self._interested = {}
            self._servers.pop(subscription, None)
        left = sum(len(mailbox.seal()) for mailbox in subscription.mailboxes)
        if left:
            subscription.note_drops(left, "it unsubscribed")

    def publish(self, event: RiskEvent) -> Receipt:
        """Record an event and hand it to its subscribers.

        Never waits, never touches a volume, and never raises for a failure of the audit log or of a handler.

        Returns:
            The audit log's receipt.

        Raises:
            ClosedError: The bus is closed. The event is recorded all the same if the log still lives, and is on
                standard output otherwise.
        """
        published_ns = time.perf_counter_ns()
        receipt = self._log.append(event)
        if self._closed:
            raise ClosedError(f"this bus is closed; event {event.event_id} was recorded but reaches no handler")
        name = event_type_name(event.event_type)
        for subscription in self._interested.get(name) or self._look_up(name):
            if subscription.inline:
                self._delivery.call(subscription, event, published_ns)
            else:
                self._hand_over(subscription, event, published_ns)
        self._delivery.published(event, published_ns)
        return receipt

    def statistics(self) -> BusStatistics:
        """Return the counts and latencies so far. Cheap; any thread."""
        return snapshot(self._tallies.total(), tuple(each.statistics() for each in self._subscriptions))

    def close(self, timeout: float = 5.0) -> Unfinished:
        """Deliver what waits, make everything durable, and end. Calling it again changes nothing.

        Args:
            timeout: Seconds for all of it. A handler that hangs delays nobody longer.

        Returns:
            What was not delivered or not durable by then.
        """
        deadline = time.monotonic() + timeout
        with self._closing:
            if self._unfinished is None:
                self._closed = True
                undelivered = self._drain(deadline)
                self._workers.stop()
                if self._loop_thread is not None:
                    self._loop_thread.stop()
                left = max(0.0, deadline - time.monotonic())
                self._unfinished = Unfinished(undelivered, self._log.close(left) if self._owns_log else ())
                _living.discard(self)
            return self._unfinished

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _look_up(self, name: str) -> tuple[Subscription, ...]:
        """Who wants events of this type; remembered until someone subscribes or unsubscribes."""
        interested = self._interested
        found = tuple(subscription for subscription in self._subscriptions if subscription.wants(name))
        interested[name] = found  # of the generation that was read before: a change in between is not overwritten
        return found

    def _hand_over(self, subscription: Subscription, event: RiskEvent, published_ns: int) -> None:
        mailbox = subscription.mailboxes[event.priority]
        if not mailbox.offer(event, published_ns):
            subscription.note_drops(1, "its queue is full, or it unsubscribed")
        elif mailbox.claim():
            (self._servers.get(subscription) or self._workers).schedule(mailbox)

    def _serve(self, mailbox: Mailbox) -> bool:
        item = mailbox.take()
        if item is None:
            return False
        mailbox.in_hand = item[0]
        self._delivery.call(mailbox.subscription, *item)
        mailbox.in_hand = None
        return True

    def _loop_server(self) -> LoopServer:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._loop_thread = self._loop_thread or LoopThread()
            loop = self._loop_thread.loop
        return self._loops.setdefault(loop, LoopServer(loop, self._delivery))

    def _drain(self, deadline: float) -> tuple[tuple[str, RiskEvent], ...]:
        """Wait until nothing waits for a handler, or the deadline; then take what is left."""
        me = threading.get_ident()  # a handler that closes the bus does not wait for itself
        mailboxes = [mailbox for each in self._subscriptions for mailbox in each.mailboxes]
        pause = threading.Event()
        while time.monotonic() < deadline and any(not box.idle and box.served_by != me for box in mailboxes):
            pause.wait(_DRAIN_POLL_SECONDS)
        left: list[tuple[str, RiskEvent]] = []
        for box in mailboxes:
            if box.in_hand is not None and box.served_by != me:
                left.append((box.subscription.name, box.in_hand))
            left += [(box.subscription.name, event) for event in box.seal()]
        return tuple(left)

    def _begin_again_in_child(self) -> None:
        """Threads and locks stayed in the parent, and so does what waited there: the parent delivers it."""
        self._closing = threading.Lock()
        self._start()
        for subscription in self._subscriptions:
            subscription.begin_again()
            if subscription.is_async:
                self._loop_thread = self._loop_thread or LoopThread()
                loop = self._loop_thread.loop
                self._servers[subscription] = self._loops.setdefault(loop, LoopServer(loop, self._delivery))


_living: WeakSet[RiskEventBus] = WeakSet()


def _close_all() -> None:
    for bus in list(_living):
        bus.close(_EXIT_TIMEOUT)


def _after_fork_in_child() -> None:
    for bus in list(_living):
        with suppress(Exception):  # the child must start, whatever became of one of its buses
            bus._begin_again_in_child()  # noqa: SLF001 -- the other half of this module


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork_in_child)
