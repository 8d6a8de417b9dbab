"""Calls handlers, so that no failure of one reaches anybody else; measures, and has recorded what they did."""

from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter_ns
from typing import cast

from riskbus.bus.mailbox import Item, Mailbox
from riskbus.bus.objectives import Breaches, objectives_ns
from riskbus.bus.outcomes import OWN_TYPES, Outcomes
from riskbus.bus.queueing import DropReason
from riskbus.bus.saying import harmless
from riskbus.bus.subscription import Subscription
from riskbus.bus.tally import PENDING_LIMIT, Histograms, Tallies
from riskbus.bus_settings import LatencyObjectives, LatencyPath
from riskbus.events import EventPriority, RiskEvent

_ALWAYS = -1  # a threshold that every latency is above


class Delivery:
    """Calls handlers of queued events, and judges every call.

    Thread-safety: every method from any thread.

    Args:
        histograms: Where latencies are counted.
        outcomes: Where calls are recorded.
        slow_ns: A call that takes longer makes its subscription a slow one.
        slow_inline: Told of such a subscription whose handler is inline, with the nanoseconds.
        on_breach: Called when there is something new in `breaches`.

    Attributes:
        slow_ns: The limit that holds now; `set_objectives` takes it into account.
        breaches: Latencies above their objectives.
        tallies: Where each thread puts its latencies.
        thresholds_ns: By priority: calls that take longer in all are to be judged by `judge`.
    """

    def __init__(
        self,
        histograms: Histograms,
        outcomes: Outcomes,
        slow_ns: int,
        slow_inline: Callable[[Subscription, int], None],
        on_breach: Callable[[], None],
    ) -> None:
        self._histograms = histograms
        self.tallies = Tallies(histograms)
        self._outcomes = outcomes
        self.slow_ns = slow_ns
        self._slow_inline = slow_inline
        self._on_breach = on_breach
        self.breaches = Breaches()
        self._followers: list[Callable[[tuple[tuple[int, ...], ...], tuple[int, ...]], None]] = []
        self.set_objectives({})

    def set_objectives(self, latency_slo_us: LatencyObjectives) -> None:
        """Judge by these objectives from now on."""
        with self._histograms.lock:
            self._histograms.fold()
            self._histograms.objectives_ns = objectives_ns(latency_slo_us)
        objectives = self._histograms.objectives_ns[: LatencyPath.DURABLE]
        lowest = [min(of_priority) for of_priority in zip(*objectives, strict=True)]
        self.thresholds_ns = tuple(
            _ALWAYS if priority in self._outcomes.priorities else min(self.slow_ns, lowest[priority])
            for priority in EventPriority
        )
        for follower in self._followers:
            follower(self._histograms.objectives_ns, self.thresholds_ns)

    def follow(self, follower: Callable[[tuple[tuple[int, ...], ...], tuple[int, ...]], None]) -> None:
        """Call with objectives and thresholds: now, and whenever they change."""
        self._followers.append(follower)
        follower(self._histograms.objectives_ns, self.thresholds_ns)

    def call_next(self, mailbox: Mailbox) -> bool:
        """Call the handler with the oldest event that waits for it, on a worker's thread; False when none does."""
        item = mailbox.take_in_hand()
        if item is None:
            return False
        failure = None
        try:
            mailbox.subscription.handler(item.event)
        except BaseException as error:  # noqa: BLE001 -- sys.exit() in a handler must not end the worker
            failure = mailbox.subscription.note_failure(item.event, error)
        self._finish(mailbox, item, failure)
        return True

    async def call_next_async(self, mailbox: Mailbox) -> bool:
        """Await the handler with the oldest event that waits for it, on its event loop; False when none does."""
        item = mailbox.take_in_hand()
        if item is None:
            return False
        failure = None
        try:
            await cast("Awaitable[object]", mailbox.subscription.handler(item.event))
        except (Exception, SystemExit) as error:  # noqa: BLE001 -- sys.exit() in a handler must not end the loop
            failure = mailbox.subscription.note_failure(item.event, error)
        except BaseException as error:  # cancelled with its loop
            self._finish(mailbox, item, mailbox.subscription.note_failure(item.event, error))
            raise
        self._finish(mailbox, item, failure)
        return True

    @harmless
    def judge(
        self,
        subscription: Subscription,
        event: RiskEvent,
        hand_off_ns: int,
        handler_ns: int,
        failure: str | None,
    ) -> None:
        """Look at a call that was slow, or is to be recorded; `failure` is the text of what it raised."""
        priority = event.priority
        objectives = self._histograms.objectives_ns
        late = False
        for path, nanoseconds in ((LatencyPath.HAND_OFF, hand_off_ns), (LatencyPath.HANDLER, handler_ns)):
            if nanoseconds > objectives[path][priority]:
                late = True
                self.note_breach(path, event, nanoseconds)
        if subscription.inline and handler_ns > self.slow_ns:
            self._slow_inline(subscription, handler_ns)
        if self._outcomes.concern(event):
            self._outcomes.handled(event, subscription, hand_off_ns, handler_ns, failure, late)

    @harmless
    def note_breach(self, path: LatencyPath, event: RiskEvent, nanoseconds: int) -> None:
        """Take in a latency of a path, if it is above the objective."""
        if nanoseconds > self._histograms.objectives_ns[path][event.priority] and event.event_type not in OWN_TYPES:
            self.breaches.note(path, event.priority, nanoseconds)
            self._on_breach()

    def drop(self, subscription: Subscription, items: Sequence[Item], reason: DropReason) -> None:
        """Account for events that a handler never gets."""
        if items:
            subscription.note_drops(len(items), reason)
        for item in items:
            self._record_drop(item.event, subscription, reason)
            if item.completion is not None:
                item.completion.done()

    @harmless
    def _record_drop(self, event: RiskEvent, subscription: Subscription, reason: DropReason) -> None:
        if self._outcomes.concern(event):
            self._outcomes.dropped(event, subscription, reason)

    def _finish(self, mailbox: Mailbox, item: Item, failure: str | None) -> None:
        ended_ns = perf_counter_ns()
        event, published_ns, _, completion = item
        priority, started_ns = mailbox.priority, mailbox.since_ns  # the event may have been changed
        tally = self.tallies.tally
        _, hand_offs, handlers = tally.pending[priority]
        hand_offs.append(started_ns - published_ns)
        handlers.append(ended_ns - started_ns)
        if len(handlers) > PENDING_LIMIT:
            self._histograms.relieve(tally)
        if ended_ns - published_ns > self.thresholds_ns[priority]:
            self.judge(mailbox.subscription, event, started_ns - published_ns, ended_ns - started_ns, failure)
        mailbox.in_hand = None
        if completion is not None:
            completion.done()
