"""The way of an event from its publisher to the log and to its subscribers: what a trading program waits for."""

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from riskbus.bus.completion import Completion, awaited
from riskbus.bus.delivery import Delivery
from riskbus.bus.dispatcher import Dispatcher
from riskbus.bus.durability import DurabilityWatch
from riskbus.bus.evidence import EvidenceCheck
from riskbus.bus.mailbox import Item, Mailbox
from riskbus.bus.queueing import DropReason
from riskbus.bus.routes import Routes
from riskbus.bus.subscription import Subscription
from riskbus.bus.tally import BUCKET_BOUNDS_NS, PENDING_LIMIT, Histograms, Tallies
from riskbus.bus_settings import LatencyPath
from riskbus.completeness import REQUIREMENTS
from riskbus.errors import ClosedError
from riskbus.events import EventPriority, EventType, RiskEvent, event_type_name
from riskbus.native import hot
from riskbus.runtime import AuditLog, Receipt

_CRITICAL = EventPriority.CRITICAL


class Publishing:
    """The half of a bus that publishers see. What it stands on is made by the other half."""

    _clock: Callable[[], int]
    _log: AuditLog
    _closed: bool
    _routes: Routes
    _dispatcher: Dispatcher
    _delivery: Delivery
    _durability: DurabilityWatch | None
    _evidence: EvidenceCheck
    _histograms: Histograms
    _tallies: Tallies
    _compiled: Any = None

    def publish(self, event: RiskEvent) -> Receipt:
        """Record an event and hand it to its subscribers.

        Never waits, never touches a volume, and never raises for a failure of the audit log or of a handler.

        Returns:
            The audit log's receipt.

        Raises:
            InvalidEventError: It is no event, and nothing is recorded; or its type was changed to what is none after it
                was made.
            ClosedError: The bus is closed. The event is recorded all the same if the log still lives, and is on
                standard output otherwise.
        """
        published_ns = self._clock()
        return self._hand_on(event, published_ns, self._log.stage(event))

    def _hand_on(  # noqa: C901, PLR0912 -- one piece, for speed
        self, event: RiskEvent, published_ns: int, receipt: Receipt
    ) -> Receipt:
        clock = self._clock
        if self._closed:
            raise ClosedError(f"this bus is closed; event {event.event_id} was recorded but reaches no handler")
        kind = event.event_type
        name = kind if kind.__class__ is EventType else event_type_name(kind)
        try:
            inline, queued, watched = self._routes.known[name]
        except KeyError:
            inline, queued, watched = self._routes.find(name)
        # Queued before inline: an inline handler that hangs must not keep the event from the others.
        patient = self._dispatcher.dispatch(queued, event, published_ns or perf_counter_ns()) if queued else None
        if watched and self._durability is not None and receipt.seq >= 0:
            late = self._durability.times.put(event.priority, receipt.seq, published_ns)
            if late:
                self._durability.attend(receipt)
        tally = self._tallies.tally
        priority = event.priority  # what a handler does to the event counts for nobody else
        publishes, hand_offs, handlers = tally.pending[priority]
        now_ns = clock()
        for subscription in inline:  # spelled out: each call of a function here would cost a tenth of a publish
            if subscription.quarantined and priority is not _CRITICAL:
                self._delivery.drop(subscription, [Item(event, published_ns, 0, None)], DropReason.QUARANTINED)
                continue
            started_ns = now_ns
            failure = None
            try:
                subscription.handler(event)
            except Exception as error:  # noqa: BLE001 -- whatever a user's handler raises is the user's
                failure = subscription.note_failure(event, error)
            except BaseException as error:
                subscription.note_failure(event, error)
                publishes.append(clock() - published_ns)
                self._log.hurry()
                raise
            now_ns = clock()
            hand_offs.append(started_ns - published_ns)
            handlers.append(now_ns - started_ns)
            if now_ns - published_ns > self._delivery.thresholds_ns[priority]:
                self._delivery.judge(subscription, event, started_ns - published_ns, now_ns - started_ns, failure)
        if priority is _CRITICAL:
            self._log.hurry()  # afterwards: to wake another thread costs more than everything before
        if name in REQUIREMENTS:  # afterwards: nothing may come between a kill switch and its handlers
            self._evidence.look_at(name, event)
        if patient:
            self._dispatcher.wait_for_room(patient)
            now_ns = clock()
        publishes.append(now_ns - published_ns)
        if now_ns - published_ns > self._delivery.thresholds_ns[priority]:
            self._delivery.note_breach(LatencyPath.PUBLISH, event, now_ns - published_ns)
        if len(publishes) > PENDING_LIMIT:
            self._histograms.relieve(tally)
        return receipt

    def _compile(self) -> None:
        """Put what does the same as `publish`, but faster, in front of it, where there is such a thing."""
        overridden = type(self).publish is not Publishing.publish or type(self._log).stage is not AuditLog.stage
        if hot is None or overridden:
            return
        compiled = hot.Publish(
            log=self._log,
            hand_on=self._hand_on,
            routes=self._routes,
            dispatcher=self._dispatcher,
            delivery=self._delivery,
            durability=self._durability,
            times=self._durability and self._durability.times,
            evidence=self._evidence,
            requirements=REQUIREMENTS,
            path=LatencyPath.PUBLISH,
            receipt=Receipt,
            subscription=Subscription,
            mailbox=Mailbox,
            bounds_ns=BUCKET_BOUNDS_NS,
            timed=self._clock is perf_counter_ns,
        )
        self._delivery.follow(compiled.judge_by)
        self._histograms.sources.append(compiled.drain)
        self._compiled = compiled
        for owner, name, method in ((self, "publish", compiled), (self._delivery, "call_next", compiled.call_next)):
            setattr(owner, name, method)  # in a way that lets mypy believe that methods stay what they are

    def _retire(self) -> None:
        """Have whoever still calls the compiled form of now get what `_hand_on` does."""
        if self._compiled is not None:
            self._compiled.retired = True

    async def publish_and_wait(self, event: RiskEvent) -> Receipt:
        """Publish, and return when every handler is done with the event and its record is durable or never will be.

        Nothing blocks the event loop, but for the inline handlers, which run on its thread. A delivery that is dropped
        counts as done. What handlers publish in turn is not waited for. A handler that hangs is waited for without end:
        use `asyncio.timeout` for a bound.

        Returns:
            The audit log's receipt; `receipt.durable` says what became of the record.

        Raises:
            ClosedError: As `publish`.
        """
        completion = Completion(event)
        token = awaited.set(completion)
        try:
            receipt = self.publish(event)
        finally:
            awaited.reset(token)
        await completion.wait()
        await receipt
        return receipt
