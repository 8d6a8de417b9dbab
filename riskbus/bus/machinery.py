"""The parts behind a bus, and the threads among them."""

import logging
from collections.abc import Callable
from time import monotonic

from riskbus.bus.delivery import Delivery
from riskbus.bus.dispatcher import Dispatcher
from riskbus.bus.durability import DurabilityWatch
from riskbus.bus.notices import Notices
from riskbus.bus.outcomes import LATENCY_SLO_BREACH, Outcomes
from riskbus.bus.quarantine import Quarantine
from riskbus.bus.saying import say
from riskbus.bus.subscription import Subscription
from riskbus.bus.tally import Histograms
from riskbus.bus.watch import PERIOD_SECONDS, Watch
from riskbus.bus.workers import Workers
from riskbus.bus_settings import BusSettings
from riskbus.events import RiskEvent
from riskbus.settings import Durability

_NS_PER_US = 1_000
_NS_PER_SECOND = 1_000_000_000


class Machinery:
    """Everything of a bus that a fork leaves behind and the child has to make anew.

    ::

        publish ──▶ dispatcher ──▶ mailboxes ──▶ workers, event loops ──▶ delivery ──▶ handler
                                                    ▲                        │
                     watch: stuck workers ──────────┘                        ▼
                            slow subscribers, missed objectives ◀── breaches, mailboxes
                              │
                              └──▶ notices: events of the bus' own ──▶ publish

    Thread-safety: `start` and `stop` from any thread.

    Args:
        settings: Those of the bus.
        outcomes: Records what handlers did.
        publish: Of the bus.
        subscriptions: Returns the bus' subscriptions of now.

    Attributes:
        histograms: The latencies.
        delivery: Calls the handlers.
        durability: Measures how long records take to become durable; None where that is not measured.
        dispatcher: Takes events to queued handlers.
    """

    def __init__(
        self,
        settings: BusSettings,
        outcomes: Outcomes,
        publish: Callable[[RiskEvent], object],
        subscriptions: Callable[[], tuple[Subscription, ...]],
    ) -> None:
        slow_ns = round(settings.slow_subscriber_seconds * _NS_PER_SECOND)
        self._subscriptions = subscriptions
        self._notices = Notices(publish)
        self._quarantine = Quarantine(slow_ns, self._notices.send)
        self._watch = Watch(
            (
                self._look_at_workers,
                self._look_at_loops,
                self._look_at_subscribers,
                self._look_at_breaches,
                self._look_at_latencies,
            ),
            lambda: self._workers.running,
        )
        self.histograms = Histograms()
        self._folded_at = float("-inf")
        self.delivery = Delivery(self.histograms, outcomes, slow_ns, self._slow_inline, self._watch.start)
        self._outcomes = outcomes
        self._workers = Workers(settings.max_workers, self.delivery, self._watch.ask)
        self.adopt(settings)
        # With durability `os` nobody waits for the disk, and to look for its end would make the log wait.
        watched = settings.enable_latency_monitoring and settings.durability is not Durability.OS
        self.durability = (
            DurabilityWatch(self.histograms, self.delivery.breaches, self._watch.start) if watched else None
        )
        self.dispatcher = Dispatcher(self.delivery, self._workers)

    def adopt(self, settings: BusSettings) -> None:
        """Go on with these settings."""
        self._workers.resize(settings.max_workers)
        self._outcomes.priorities = settings.record_outcomes
        self._quarantine.slow_ns = self.delivery.slow_ns = round(settings.slow_subscriber_seconds * _NS_PER_SECOND)
        self.delivery.set_objectives(settings.latency_slo_us if settings.enable_latency_monitoring else {})

    def start(self, *, with_workers: bool) -> None:
        """Start the watch, and the workers that queued handlers need, if that was not done yet."""
        if with_workers:
            self._workers.start()
        self._watch.start()

    def stop(self) -> None:
        """Let every thread end after what it is at. Does not wait."""
        self._workers.stop()
        self.dispatcher.stop()
        self._watch.stop()
        self._notices.stop()

    def _slow_inline(self, subscription: Subscription, handler_ns: int) -> None:
        self._quarantine.slow_inline(subscription, handler_ns)
        self._watch.start()

    def _look_at_workers(self, asked: bool) -> None:
        self._workers.relieve(asked)

    def _look_at_loops(self, _asked: bool) -> None:
        self.dispatcher.look_at_loops()

    def _look_at_subscribers(self, _asked: bool) -> None:
        self._quarantine.look(self._subscriptions())

    def _look_at_latencies(self, _asked: bool) -> None:
        now = monotonic()
        if now - self._folded_at >= PERIOD_SECONDS:  # not more often: a fold holds up who publishes meanwhile
            self._folded_at = now
            self.histograms.fold()

    def _look_at_breaches(self, _asked: bool) -> None:
        for breach in self.delivery.breaches.due(self.histograms.objectives_ns):
            path, priority = breach.path.name.lower(), breach.priority.name
            say(
                logging.WARNING,
                "Latency objective of %s events missed %d times on the path %s: worst %d µs, objective %d µs",
                priority, breach.count, path, breach.worst_ns // _NS_PER_US, breach.objective_ns // _NS_PER_US,
            )  # fmt: skip
            data = {
                "path": path,
                "priority": priority,
                "count": breach.count,
                "worst_us": breach.worst_ns / _NS_PER_US,
                "objective_us": breach.objective_ns / _NS_PER_US,
            }
            self._notices.send(LATENCY_SLO_BREACH, data)
