"""The bus as its users see it."""

import asyncio
import atexit
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from weakref import WeakSet

from prometheus_client import REGISTRY, CollectorRegistry

from riskbus.bus.closing import Unfinished, drain
from riskbus.bus.configuration import Configuration
from riskbus.bus.delivery import Delivery
from riskbus.bus.dispatcher import Dispatcher
from riskbus.bus.evidence import EvidenceCheck
from riskbus.bus.mailbox import Mailbox, serving
from riskbus.bus.metrics import collector_for
from riskbus.bus.routes import Routes
from riskbus.bus.statistics import BusStatistics, snapshot
from riskbus.bus.subscription import EventTypes, Handler, Subscription
from riskbus.bus.tally import Tallies
from riskbus.bus_settings import BusSettings
from riskbus.completeness import REQUIREMENTS
from riskbus.configuration import Change
from riskbus.errors import ClosedError, SettingsError
from riskbus.events import EventPriority, RiskEvent, event_type_name
from riskbus.runtime import AuditLog, Receipt
from riskbus.settings import AuditSettings
from riskbus.variables import warn_of_unknown_variables

DEFAULT_CAPACITY = 10_000
"""Events of one priority that may wait for one subscription: seconds of a busy day, megabytes of memory."""

_EXIT_TIMEOUT = 5.0
"""Seconds that the end of the process gives a bus nobody closed."""

_SHARE_OF_LOG = 0.5
"""Share of the time of `close` that handlers leave to the audit log: evidence comes before a handler that hangs."""


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
        max_workers: int | None = None,
        enable_latency_monitoring: bool | None = None,
        latency_slo_us: Mapping[EventPriority, float] | None = None,
        audit_log_path: str | os.PathLike[str] | None = None,
        *,
        audit_log: AuditLog | None = None,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        """Start the workers and the audit log. What is None comes from the environment, else from the defaults.

        Args:
            max_workers: Most threads that run handlers; at least 2, of which one is reserved for CRITICAL. Else
                RISKBUS_MAX_WORKERS, else 10.
            enable_latency_monitoring: Whether latencies are measured. Else RISKBUS_ENABLE_LATENCY_MONITORING, else
                they are.
            latency_slo_us: Latency objective of each priority in microseconds; what is above it is counted. Else
                RISKBUS_LATENCY_SLO_US, else none.
            audit_log_path: The file that users follow. Else RISK_AUDIT_LOG_PATH, else logs/risk_audit.jsonl.
            audit_log: A log that the caller has made, and closes; instead of `audit_log_path`.
            registry: Where the metrics appear.

        Raises:
            SettingsError: A setting is wrong.
        """
        if audit_log is not None and audit_log_path is not None:
            raise SettingsError("audit_log and audit_log_path are both given; give one of them")
        of_the_log: dict[str, Any] = {"path": audit_log_path} if audit_log is None else dict(audit_log.settings)
        settings = BusSettings.from_environment(
            max_workers=max_workers,
            enable_latency_monitoring=enable_latency_monitoring,
            latency_slo_us=latency_slo_us,
            **{name: value for name, value in of_the_log.items() if name in AuditSettings.model_fields},
        )
        warn_of_unknown_variables()
        self._configuration = Configuration(settings)
        self._owns_log = audit_log is None
        self._log = AuditLog(settings=self.settings, registry=registry) if audit_log is None else audit_log
        self._closed = False
        self._unfinished: Unfinished | None = None
        self._routes = Routes()
        self._begin()
        self._collector = collector_for(registry)
        self._collector.add(self)
        self._configuration.start(self._adopt)
        _living.add(self)

    def _begin(self) -> None:
        self._closing = threading.Lock()
        self._closer = 0
        self._tallies = Tallies()
        self._evidence = EvidenceCheck()
        settings = self.settings
        self._delivery = Delivery(self._tallies, measure=settings.enable_latency_monitoring)
        self._delivery.set_objectives(settings.latency_slo_us)
        self._dispatcher = Dispatcher(settings.max_workers, self._delivery)

    @property
    def settings(self) -> BusSettings:
        """The settings that hold now."""
        return self._configuration.settings

    @property
    def audit_log(self) -> AuditLog:
        """The log that every published event is recorded in."""
        return self._log

    def subscribe(  # noqa: PLR0913  # all but the first two by keyword only
        self,
        event_type: EventTypes,
        handler: Handler,
        *,
        name: str = "",
        inline: bool = False,
        capacity: int = DEFAULT_CAPACITY,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> Subscription:
        """Have a handler called with each event of a type.

        Args:
            event_type: One type, several, or None for all.
            handler: Takes one event; may be async.
            name: Names it in logs and metrics; its own name if empty.
            inline: Run the handler on the publisher's thread, before `publish` returns. For what must not wait even
                for another thread to wake up, and is quick.
            capacity: Events of one priority that may wait for it; more are dropped, counted and logged. They are in the
                audit log all the same.
            loop: The event loop that an async handler runs on. None takes the loop that runs where `subscribe` is
                called, or else one of the bus in a thread of its own.

        Returns:
            What `unsubscribe` takes.

        Raises:
            SettingsError: An argument is wrong.
            ClosedError: The bus is closed.
        """
        if self._closed:
            raise ClosedError("this bus is closed; subscribe before close()")
        subscription = Subscription(event_type, handler, name=name, inline=inline, capacity=capacity)
        self._dispatcher.attach(subscription, _running_loop() if loop is None else loop)
        self._routes.add(subscription)
        if not inline:
            self._dispatcher.start()
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Call a handler no more. Events that wait for it are dropped and counted; one it has in hand it finishes."""
        self._routes.remove(subscription)
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
        for subscription in self._routes.interested_in(name):
            self._dispatcher.dispatch(subscription, event, published_ns)
        if name in REQUIREMENTS:  # afterwards: nothing may come between a kill switch and its handlers
            self._evidence.look_at(name, event)
        self._delivery.published(event, published_ns)
        return receipt

    def reconfigure(
        self, *, actor: str = "", approved_by: str = "", reason: str = "", **changes: object
    ) -> BusSettings:
        """Change settings while the bus runs: all that are named, or none. No event is lost or delayed.

        Each change is an AUDIT_CONFIG record with the values before and after. Which settings can change is in
        docs/configuration.md. Not from signal handlers.

        Args:
            actor: Who changes them; RTS 6 Art. 5(7) will have you know.
            approved_by: Who approved it.
            reason: Why.
            changes: The new values, by setting.

        Returns:
            The settings that hold now.

        Raises:
            SettingsError: A value is wrong, or is of a setting that cannot change while the bus runs.
            ClosedError: The bus is closed.
        """
        if self._closed:
            raise ClosedError("this bus is closed; its settings change no more")
        sources = {name: f"argument {name}" for name in changes}
        change = Change("reconfigure()", actor=actor, approved_by=approved_by, reason=reason)
        return self._configuration.change(changes, sources, change)

    def _adopt(self, settings: BusSettings, change: Change) -> None:
        self._delivery.set_objectives(settings.latency_slo_us)
        self._log.adopt(dict(settings), change)

    def statistics(self) -> BusStatistics:
        """Return the counts and latencies so far. Cheap; any thread."""
        subscriptions = tuple(each.statistics() for each in self._routes.subscriptions)
        return snapshot(self._tallies.total(), subscriptions, self._evidence.counts(), self._configuration.statistics())

    def close(self, timeout: float = 5.0) -> Unfinished:
        """Deliver what waits, make everything durable, and end. Calling it again changes nothing.

        Called by a handler while another thread closes the bus, it returns at once what is unfinished at that moment.

        Args:
            timeout: Seconds for all of it. A handler that hangs delays nobody longer.

        Returns:
            What was not delivered or not durable by then.
        """
        self._closed = True
        deadline = time.monotonic() + timeout
        cannot_wait = serving.get() is not None or self._closer == threading.get_ident()
        if not self._closing.acquire(timeout=0 if cannot_wait else max(0.0, timeout)):
            return self._unfinished_now()
        try:
            self._closer = threading.get_ident()
            if self._unfinished is None:
                self._unfinished = self._end(timeout, deadline)
            return self._unfinished
        finally:
            self._closer = 0
            self._closing.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _end(self, timeout: float, deadline: float) -> Unfinished:
        self._configuration.stop()
        undelivered = drain(self._mailboxes(), deadline - timeout * _SHARE_OF_LOG)
        self._dispatcher.stop()
        not_durable = self._log.close(max(0.0, deadline - time.monotonic())) if self._owns_log else ()
        self._collector.retire(self)
        _living.discard(self)
        return Unfinished(undelivered, not_durable)

    def _unfinished_now(self) -> Unfinished:
        waiting = ((mailbox.subscription.name, event) for mailbox in self._mailboxes() for event in mailbox.waiting())
        return Unfinished(tuple(waiting), ())

    def _mailboxes(self) -> list[Mailbox]:
        return [mailbox for subscription in self._routes.subscriptions for mailbox in subscription.mailboxes]

    def _begin_again_in_child(self) -> None:
        """Threads and locks stayed in the parent, and so does what waited there: the parent delivers it."""
        subscriptions = self._routes.subscriptions
        self._begin()
        for subscription in subscriptions:
            subscription.begin_again()
            self._dispatcher.attach(subscription, None)  # the parent's event loop does not run here
        self._collector.add(self)
        self._routes = Routes(subscriptions)
        self._configuration.begin_again()
        self._configuration.start(self._adopt)


_living: WeakSet[RiskEventBus] = WeakSet()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _close_all() -> None:
    for bus in list(_living):
        bus.close(_EXIT_TIMEOUT)


def _after_fork_in_child() -> None:
    for bus in list(_living):
        with suppress(Exception):  # the child must start, whatever became of one of its buses
            bus._begin_again_in_child()  # noqa: SLF001 -- the other half of this module


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork_in_child)
