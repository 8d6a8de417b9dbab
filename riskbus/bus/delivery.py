"""Calls handlers, so that no failure of one reaches anybody else, and measures them."""

import sys
import time
from collections.abc import Awaitable, Mapping
from typing import cast

from riskbus.bus.mailbox import Mailbox
from riskbus.bus.subscription import Subscription
from riskbus.bus.tally import Path, Tallies
from riskbus.events import EventPriority, RiskEvent

_NO_OBJECTIVE = sys.maxsize


class Delivery:
    """Calls a subscription's handler with an event.

    Thread-safety: every method from any thread.

    Args:
        tallies: Where calls and latencies are counted.
        measure: Whether latencies are measured.
    """

    def __init__(self, tallies: Tallies, *, measure: bool) -> None:
        self._tallies = tallies
        self._measure = measure
        self._objectives_ns = [_NO_OBJECTIVE] * len(EventPriority)

    def set_objectives(self, latency_slo_us: Mapping[EventPriority, float]) -> None:
        """Measure by these objectives from now on; in microseconds by priority."""
        objectives_ns = {priority: round(microseconds * 1000) for priority, microseconds in latency_slo_us.items()}
        self._objectives_ns = [objectives_ns.get(priority, _NO_OBJECTIVE) for priority in EventPriority]

    def call(self, subscription: Subscription, event: RiskEvent, published_ns: int) -> None:
        """Call a handler on this thread. What it raises is counted and logged."""
        started_ns = self._before(event, published_ns)
        try:
            subscription.handler(event)
        except Exception as error:  # noqa: BLE001  # whatever a user's handler raises is the user's
            subscription.note_failure(event, error)
        self._after(event, started_ns)

    def call_next(self, mailbox: Mailbox) -> bool:
        """Call the handler with the oldest event that waits for it, on a worker's thread; False when none does."""
        item = mailbox.take()
        if item is None:
            return False
        mailbox.in_hand = item[0]
        try:
            self.call(mailbox.subscription, *item)
        except BaseException as error:  # noqa: BLE001  # sys.exit() in a handler must not end the worker
            mailbox.subscription.note_failure(item[0], error)
        mailbox.in_hand = None
        return True

    async def call_async(self, subscription: Subscription, event: RiskEvent, published_ns: int) -> None:
        """Await a handler on this event loop. What it raises is counted and logged."""
        started_ns = self._before(event, published_ns)
        try:
            await cast("Awaitable[object]", subscription.handler(event))
        except Exception as error:  # noqa: BLE001  # whatever a user's handler raises is the user's
            subscription.note_failure(event, error)
        self._after(event, started_ns)

    def published(self, event: RiskEvent, published_ns: int) -> None:
        """Count an event that `publish` is done with."""
        self._tallies.mine().published[event.priority] += 1
        if self._measure:
            self._record(Path.PUBLISH, event, time.perf_counter_ns() - published_ns)

    def _before(self, event: RiskEvent, published_ns: int) -> int:
        if not self._measure:
            return 0
        now_ns = time.perf_counter_ns()
        self._record(Path.HAND_OFF, event, now_ns - published_ns)
        return now_ns

    def _after(self, event: RiskEvent, started_ns: int) -> None:
        self._tallies.mine().delivered[event.priority] += 1
        if self._measure:
            self._record(Path.HANDLER, event, time.perf_counter_ns() - started_ns)

    def _record(self, path: Path, event: RiskEvent, nanoseconds: int) -> None:
        self._tallies.mine().record(path, event.priority, nanoseconds, self._objectives_ns[event.priority])
