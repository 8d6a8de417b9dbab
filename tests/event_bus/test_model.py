"""The lanes and queues do what a model of thirty lines does, whatever happens in whatever order.

The real parts are driven step by step, without threads: each turn of a worker is a step, taken only when there is a
token for it. So it also shows that nothing is ever left waiting without a token.
"""

from collections import Counter, deque
from queue import Empty
from typing import Any

from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from riskbus import AuditLog, EventPriority, RiskEvent
from riskbus.bus.delivery import Delivery
from riskbus.bus.dispatcher import Dispatcher
from riskbus.bus.outcomes import Outcomes
from riskbus.bus.queueing import Bounds, DropReason, WhenFull, size_of
from riskbus.bus.subscription import Subscription
from riskbus.bus.tally import Histograms
from riskbus.bus.workers import Workers

CRITICAL, HIGH, NORMAL, LOW = EventPriority
ORDERS = {
    "reserved": (CRITICAL,),
    "general": (CRITICAL, HIGH, NORMAL, LOW),
    "general, least urgent first": (LOW, NORMAL, HIGH, CRITICAL),
}
TURN = 64
BOUNDS = {
    "newest": Bounds(events=3, size=None),
    "oldest": Bounds(events=2, size=None, when_full=WhenFull.DROP_OLDEST),
    "bytes": Bounds(events=100, size=2_000, when_full=WhenFull.DROP_OLDEST),
    "many": Bounds(events=1_000, size=None),
}


class Stub:
    """Stands where a worker's thread would be."""

    busy = False
    handled = 0


class Model:
    """What the lanes are to do, as simply as it can be said."""

    def __init__(self) -> None:
        self.queues: dict[tuple[str, EventPriority], deque[RiskEvent]] = {
            (name, priority): deque() for name in BOUNDS for priority in EventPriority
        }
        self.lanes: dict[EventPriority, deque[str]] = {priority: deque() for priority in EventPriority}
        self.handled: list[tuple[str, RiskEvent]] = []
        self.dropped: Counter[tuple[str, DropReason]] = Counter()
        self.quarantined: set[str] = set()

    def publish(self, name: str, event: RiskEvent) -> None:
        """Queue an event, or drop what the choice says."""
        queue, bounds = self.queues[name, event.priority], BOUNDS[name]
        if name in self.quarantined and event.priority is not CRITICAL:
            self.dropped[name, DropReason.QUARANTINED] += 1
            return
        reason = self.no_room(queue, bounds, event)
        if reason and bounds.when_full is WhenFull.DROP_OLDEST and size_of(event) <= (bounds.size or size_of(event)):
            while self.no_room(queue, bounds, event):
                queue.popleft()
                self.dropped[name, reason] += 1
        elif reason:
            self.dropped[name, reason] += 1
            return
        queue.append(event)
        if name not in self.lanes[event.priority]:
            self.lanes[event.priority].append(name)

    def no_room(self, queue: deque[RiskEvent], bounds: Bounds, event: RiskEvent) -> DropReason | None:
        """Say why there is no room, if there is none."""
        if len(queue) >= bounds.events:
            return DropReason.QUEUE_EVENTS
        if bounds.size and sum(map(size_of, queue)) + size_of(event) > bounds.size:
            return DropReason.QUEUE_BYTES
        return None

    def turn(self, order: tuple[EventPriority, ...]) -> None:
        """Handle what the first lane in this order has, until something more urgent waits."""
        for priority in order:
            if self.lanes[priority]:
                name = self.lanes[priority].popleft()
                queue = self.queues[name, priority]
                for _ in range(TURN):
                    if not queue:
                        break
                    self.handled.append((name, queue.popleft()))
                    if any(self.lanes[more_urgent] for more_urgent in EventPriority if more_urgent < priority):
                        break
                if queue:
                    self.lanes[priority].append(name)
                return


class Lanes(RuleBasedStateMachine):
    """Random publishing, turns and quarantines."""

    log: AuditLog

    @initialize()
    def begin(self) -> None:
        """Put the real parts together, with nobody to run them."""
        self.model = Model()
        self.handled: list[tuple[str, RiskEvent]] = []
        delivery = Delivery(Histograms(), Outcomes(self.log, frozenset()), 10**18, lambda *_: None, lambda: None)
        self.workers = Workers(10, delivery, lambda: None)
        self.workers._starting.acquire()  # noqa: SLF001 -- as if the threads ran
        stub: Any = Stub()
        self.stub = self.workers._reserved = stub  # noqa: SLF001 -- the threads are what this stands for
        self.dispatcher = Dispatcher(delivery, self.workers)
        self.subscriptions = {name: self.subscribe(name, bounds) for name, bounds in BOUNDS.items()}

    def subscribe(self, name: str, bounds: Bounds) -> Subscription:
        """Make a subscription whose handler notes what it gets."""
        handler = lambda event: self.handled.append((name, event))  # noqa: E731 -- it closes over the name
        subscription = Subscription(None, handler, name=name, inline=False, bounds=bounds)
        self.dispatcher.attach(subscription, None)
        return subscription

    @rule(
        name=strategies.sampled_from(list(BOUNDS)),
        priority=strategies.sampled_from(EventPriority),
        length=strategies.sampled_from([0, 300, 700, 3_000]),
        count=strategies.sampled_from([1, 2, 70]),
    )
    def publish(self, name: str, priority: EventPriority, length: int, count: int) -> None:
        """Publish some events for one of them."""
        for _ in range(count):
            event = RiskEvent("LIMIT_BREACH", priority, "tests", data={"text": "x" * length})
            assert self.dispatcher.dispatch([self.subscriptions[name]], event, 1) == []
            self.model.publish(name, event)

    @rule(name=strategies.sampled_from(list(BOUNDS)))
    def quarantine(self, name: str) -> None:
        """Put one into quarantine, or let it out."""
        if self.subscriptions[name].enter_quarantine():
            self.model.quarantined.add(name)
        else:
            self.subscriptions[name].leave_quarantine()
            self.model.quarantined.remove(name)

    @rule(kind=strategies.sampled_from(list(ORDERS)))
    def turn(self, kind: str) -> None:
        """Let a worker take a token and its turn."""
        self.take_turn(kind)

    def take_turn(self, kind: str) -> bool:
        """Take a turn; False where there is no token for this kind of worker."""
        workers = self.workers
        tokens = workers._critical_tokens if kind == "reserved" else workers._general_tokens  # noqa: SLF001 -- one step of a worker
        try:
            tokens.get(block=False)
        except Empty:
            return False
        workers._serve_one_of(self.stub, ORDERS[kind])  # noqa: SLF001 -- one step of a worker
        self.model.turn(ORDERS[kind])
        return True

    @invariant()
    def everything_is_as_in_the_model(self) -> None:
        """What was handled, in which order; what waits; what was dropped, and why."""
        if not hasattr(self, "model"):
            return
        assert self.handled == self.model.handled
        for name, subscription in self.subscriptions.items():
            for mailbox in subscription.mailboxes:
                assert list(mailbox.waiting()) == list(self.model.queues[name, mailbox.priority])
                assert mailbox.size == (0 if BOUNDS[name].size is None else sum(map(size_of, mailbox.waiting())))
            dropped = {reason: number for (of, reason), number in self.model.dropped.items() if of == name}
            assert subscription.statistics().dropped_by == dropped

    def teardown(self) -> None:
        """Nothing is forgotten: as long as something waits, there is a token for it."""
        if hasattr(self, "model"):
            while self.take_turn("reserved") or self.take_turn("general"):
                pass
            self.everything_is_as_in_the_model()
            assert not any(self.model.queues.values())


def test_the_lanes_do_what_the_model_does(audit_log: AuditLog) -> None:
    """Order, bounds and choices, against something simple enough to be believed."""

    class OnThisLog(Lanes):
        log = audit_log

    OnThisLog.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
    OnThisLog.TestCase().runTest()
