"""The bus as its users see it."""

import asyncio
import os
import time
from collections.abc import Iterable
from time import perf_counter_ns
from types import TracebackType
from typing import Any, Self

from prometheus_client import REGISTRY, CollectorRegistry

from riskbus.bus.closing import Closing, Unfinished, drain
from riskbus.bus.configuration import Configuration
from riskbus.bus.departed import Departed
from riskbus.bus.evidence import EvidenceCheck
from riskbus.bus.lifecycle import living
from riskbus.bus.machinery import Machinery
from riskbus.bus.mailbox import Mailbox
from riskbus.bus.metrics import collector_for
from riskbus.bus.outcomes import Outcomes
from riskbus.bus.publishing import Publishing
from riskbus.bus.queueing import DEFAULT_CAPACITY, DEFAULT_CAPACITY_BYTES, Bounds, DropReason, WhenFull
from riskbus.bus.routes import Routes
from riskbus.bus.sigterm import close_on_sigterm
from riskbus.bus.statistics import BusStatistics, snapshot
from riskbus.bus.subscription import EventTypes, Handler, Subscription
from riskbus.bus_settings import BusSettings, LatencyObjectives
from riskbus.configuration import Change
from riskbus.errors import ClosedError, SettingsError
from riskbus.events import EventPriority
from riskbus.quantities import timeout_seconds
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings
from riskbus.variables import warn_of_unknown_variables

_SHARE_OF_LOG = 0.5
"""Share of the time of `close` that handlers leave to the audit log: evidence comes before a handler that hangs."""

_CRITICAL = EventPriority.CRITICAL


class RiskEventBus(Publishing):
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
        latency_slo_us: LatencyObjectives | None = None,
        audit_log_path: str | os.PathLike[str] | None = None,
        *,
        audit_log: AuditLog | None = None,
        registry: CollectorRegistry = REGISTRY,
        record_outcomes: Iterable[EventPriority] | None = None,
        slow_subscriber_seconds: float | None = None,
    ) -> None:
        """Start the workers and the audit log. What is None comes from the environment, else from the defaults.

        Args:
            max_workers: Most threads that run handlers; at least 2, of which one is reserved for CRITICAL. Else
                RISKBUS_MAX_WORKERS, else 10.
            enable_latency_monitoring: Whether latencies are measured. Else RISKBUS_ENABLE_LATENCY_MONITORING, else
                they are.
            latency_slo_us: Latency objective of each priority in microseconds, for publish, hand-off and handler; or
                such a number for each LatencyPath. What is above is counted, logged and told by an event
                LATENCY_SLO_BREACH. Else RISKBUS_LATENCY_SLO_US, else none.
            audit_log_path: The file that users follow. Else RISK_AUDIT_LOG_PATH, else logs/risk_audit.jsonl.
            audit_log: A log that the caller has made, and closes; instead of `audit_log_path`.
            registry: Where the metrics appear.
            record_outcomes: Priorities whose deliveries are recorded in the audit log, as HANDLER_OUTCOME. Else
                RISKBUS_RECORD_OUTCOMES, else CRITICAL and HIGH.
            slow_subscriber_seconds: A handler that runs longer, or lets an event wait longer, comes into quarantine: it
                gets CRITICAL events only, until it has caught up. Else RISKBUS_SLOW_SUBSCRIBER_SECONDS, else 5.

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
            record_outcomes=record_outcomes,
            slow_subscriber_seconds=slow_subscriber_seconds,
            **{name: value for name, value in of_the_log.items() if name in AuditSettings.model_fields},
        )
        warn_of_unknown_variables()
        self._configuration = Configuration(settings)
        self._owns_log = audit_log is None
        self._log = AuditLog(settings=self.settings, registry=registry) if audit_log is None else audit_log
        # int() is a clock that stands still at 0, for who does not want to pay for one that goes
        self._clock = perf_counter_ns if self.settings.enable_latency_monitoring else int
        self._closed = False
        self._routes = Routes()
        self._begin()
        self._collector = collector_for(registry)
        self._collector.add(self)
        self._configuration.start(self._adopt)
        living.add(self)

    def _begin(self) -> None:
        self._closing = Closing(self._end, self._look)
        self._departed = Departed()
        self._evidence = EvidenceCheck()
        self._outcomes = Outcomes(self._log, self.settings.record_outcomes)
        self._machinery = machinery = Machinery(self.settings, self._outcomes, self.publish, self._subscriptions)
        self._dispatcher, self._delivery = machinery.dispatcher, machinery.delivery
        self._histograms, self._tallies = machinery.histograms, machinery.delivery.tallies
        self._durability = machinery.durability
        self._compile()

    @property
    def settings(self) -> BusSettings:
        """The settings that hold now."""
        return self._configuration.settings

    @property
    def audit_log(self) -> AuditLog:
        """The log that every published event is recorded in."""
        return self._log

    def subscribe(  # noqa: PLR0913 -- all but the first two by keyword only
        self,
        event_type: EventTypes,
        handler: Handler,
        *,
        name: str = "",
        inline: bool = False,
        capacity: int = DEFAULT_CAPACITY,
        capacity_bytes: int | None = DEFAULT_CAPACITY_BYTES,
        when_full: WhenFull = WhenFull.DROP_NEWEST,
        block_seconds: float = 0.1,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> Subscription:
        """Have a handler called with each event of a type.

        Args:
            event_type: One type, several, or None for all.
            handler: Takes one event; may be async.
            name: Names it in logs and metrics; its own name if empty.
            inline: Run the handler on the publisher's thread, before `publish` returns. For what must not wait even
                for another thread to wake up, and is quick.
            capacity: Events of one priority that may wait for it. What has no room is in the audit log all the same.
            capacity_bytes: Bytes of such events; None for any.
            when_full: What happens to an event that has no room.
            block_seconds: Longest wait of `publish` with `WhenFull.BLOCK`.
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
        bounds = Bounds(capacity, capacity_bytes, when_full, block_seconds)
        subscription = Subscription(event_type, handler, name=name, inline=inline, bounds=bounds)
        self._dispatcher.attach(subscription, loop)
        self._routes.add(subscription)
        self._machinery.start(with_workers=not inline)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Call a handler no more. Events that wait for it are dropped and counted; one it has in hand it finishes."""
        with self._departed.lock:
            self._routes.remove(subscription)
            subscription.depart(self._departed.add)
        for mailbox in subscription.mailboxes:
            left = mailbox.seal(DropReason.UNSUBSCRIBED)
            self._delivery.drop(subscription, left, DropReason.UNSUBSCRIBED)

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
        self._machinery.adopt(settings)
        self._log.adopt(dict(settings), change)

    def statistics(self) -> BusStatistics:
        """Return the counts and latencies so far. Cheap; any thread.

        The parts of each latency belong together, and no count ever goes back.
        """
        with self._departed.lock:
            subscriptions = tuple(subscription.statistics() for subscription in self._routes.subscriptions)
            departed = self._departed.statistics()
        return snapshot(
            self._histograms.total(),
            subscriptions,
            departed,
            self._evidence.counts(),
            self._configuration.statistics(),
            timed=self.settings.enable_latency_monitoring,
        )

    def close(self, timeout: float = 5.0) -> Unfinished:
        """Deliver what waits, make everything durable, and end. Calling it again changes nothing.

        Called by a handler while another thread closes the bus, it returns at once what is unfinished at that moment.

        Args:
            timeout: Seconds for all of it, as many as you like. A handler that hangs delays nobody longer.

        Returns:
            What was not delivered or not durable by then.

        Raises:
            SettingsError: `timeout` is no number; the bus goes on.
        """
        seconds = timeout_seconds(timeout)
        self._closed = True
        self._retire()
        return self._closing.close(seconds)

    def close_on_sigterm(self, grace: float = 25.0) -> None:
        """Close the bus when the process gets SIGTERM, as Kubernetes sends it before it kills.

        The handler that was there before runs first; the bus is closed however that ends; and where there was none, the
        process then ends by SIGTERM as it would have.

        Args:
            grace: Seconds for all of it, less than the pod's terminationGracePeriodSeconds (30 if nobody set it).

        Raises:
            SettingsError: Called outside the main thread, or `grace` is not positive.
        """
        close_on_sigterm(self.close, grace)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _end(self, deadline: float, timeout: float) -> Unfinished:
        self._configuration.stop()
        undelivered = drain(self._mailboxes(), deadline - timeout * _SHARE_OF_LOG, self._delivery.drop)
        self._machinery.stop()
        not_durable: tuple[bytes, ...] = ()
        if self._owns_log:
            self._outcomes.stop()
            not_durable = self._log.close(max(0.0, deadline - time.monotonic()))
        self._collector.retire(self)
        living.discard(self)
        return Unfinished(undelivered, not_durable)

    def _look(self) -> Unfinished:
        waiting = ((mailbox.subscription.name, event) for mailbox in self._mailboxes() for event in mailbox.waiting())
        return Unfinished(tuple(waiting), ())

    def _subscriptions(self) -> tuple[Subscription, ...]:
        return self._routes.subscriptions

    def _mailboxes(self) -> list[Mailbox]:
        return [mailbox for subscription in self._routes.subscriptions for mailbox in subscription.mailboxes]

    def begin_again_in_child(self) -> None:
        """Threads and locks stayed in the parent, and so does what waited there: the parent delivers it."""
        self._retire()  # somebody may have kept `bus.publish` of before
        subscriptions = self._routes.subscriptions
        self._routes = Routes(subscriptions)
        self._begin()
        for subscription in subscriptions:
            subscription.begin_again()
            self._dispatcher.attach(subscription, None)  # the parent's event loop does not run here
        self._collector.add(self)
        self._configuration.begin_again()
        self._configuration.start(self._adopt)
