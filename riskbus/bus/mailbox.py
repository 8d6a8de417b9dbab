"""Events of one priority that wait for one subscription."""

import threading
from _thread import LockType, allocate_lock
from collections import deque
from contextvars import ContextVar
from time import monotonic, perf_counter_ns
from typing import TYPE_CHECKING, NamedTuple

from riskbus.bus.completion import Completion
from riskbus.bus.queueing import Bounds, DropReason
from riskbus.events import EventPriority, RiskEvent

if TYPE_CHECKING:
    from riskbus.bus.subscription import Subscription

serving: ContextVar["Mailbox | None"] = ContextVar("serving", default=None)
"""The mailbox whose handler runs here: in this worker thread, or in this task of an event loop."""


class Item(NamedTuple):
    """An event on its way to a handler.

    Attributes:
        event: The event.
        published_ns: When `publish` was called, as `time.perf_counter_ns` counts.
        size: Its bytes, by `size_of`; 0 where nobody bounds them.
        completion: Who waits for it, if anybody does.
    """

    event: RiskEvent
    published_ns: int
    size: int
    completion: Completion | None


class Mailbox:
    """A bounded queue with one reader at a time, so that order within it is the order of publishing.

    ::

        idle ──claim──▶ waiting for a worker ──▶ being served ──release──▶ idle
                              ▲                                  │
                              └────── claim: more has come ◀─────┘

    Whoever offers an event and then gets the claim must hand the mailbox to a worker. The claim is a lock that is only
    ever tried, never waited for: `offer` and `claim` cannot block, not even when a signal handler publishes in the
    middle of a publish on the same thread.

    Thread-safety: `offer`, `claim`, `seal`, `drop_oldest` and what only looks, from any thread; the rest only by the
    holder of the claim. Bytes are counted by single additions, which the interpreter does not interrupt.

    Attributes:
        subscription: Whose events these are.
        priority: The one priority of all events in it.
        in_hand: The item whose handler runs now, if any.
        since_ns: When that handler began, as `time.perf_counter_ns` counts.
        size: Bytes that wait.
    """

    __slots__ = (
        "_blocked", "_bounds", "_claimed", "_sealed", "_waiting", "in_hand", "priority", "since_ns", "size",
        "subscription",
    )  # fmt: skip

    def __init__(self, subscription: "Subscription", priority: EventPriority, bounds: Bounds) -> None:
        self.subscription = subscription
        self.priority = priority
        self.in_hand: Item | None = None
        self.since_ns = 0
        self.size = 0
        self._bounds = bounds
        self._sealed: DropReason | None = None
        self._waiting: deque[Item] = deque()
        self._blocked: deque[LockType] = deque()
        self._claimed = threading.Lock()

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, item: Item) -> DropReason | None:
        """Queue an event; return why not, if not.

        Several threads that offer at the same instant can exceed the bounds by one event each.
        """
        refused = self._refusal(item.size)
        if refused is None:
            self.size += item.size
            self._waiting.append(item)
            # Sealed in between: whoever sealed may have looked already, so take back whatever is still there.
            if self._sealed is not None and self.take() is not None:
                return self._sealed
        return refused

    def offer_patiently(self, item: Item, deadline: float) -> DropReason | None:
        """Queue an event, waiting for room until the deadline, as `time.monotonic` counts; return why not, if not."""
        while (refused := self.offer(item)) and self._sealed is None and (left := deadline - monotonic()) > 0:
            turn = allocate_lock()
            turn.acquire()
            self._blocked.append(turn)
            if self._refusal(item.size):  # else room came before anybody could see the line above
                turn.acquire(timeout=left)
        return refused

    def drop_oldest(self, size: int) -> list[Item]:
        """Make room for so many bytes; return what had to go, oldest first. What can never fit drops nothing."""
        dropped: list[Item] = []
        if self._bounds.size is not None and size > self._bounds.size:
            return dropped
        while self._sealed is None and self._refusal(size) and (oldest := self.take()):
            dropped.append(oldest)
        return dropped

    def take(self) -> Item | None:
        """Remove and return the oldest item, or None."""
        try:
            item = self._waiting.popleft()
        except IndexError:
            return None
        self.size -= item.size
        if self._blocked:
            self._let_in()
        return item

    def take_in_hand(self) -> Item | None:
        """Remove and return the oldest item, to be handled now, or None."""
        item = self.take()
        if item is not None:
            self.since_ns = perf_counter_ns()
            self.in_hand = item
        return item

    def claim(self) -> bool:
        """Become the one who must see to it that the mailbox is served; False when someone already is."""
        return self._claimed.acquire(blocking=False)

    def release(self) -> bool:
        """Give up the claim; True when events came meanwhile and the caller holds a new claim because of them."""
        self._claimed.release()
        return bool(self._waiting) and self.claim()

    def seal(self, reason: DropReason) -> list[Item]:
        """Accept nothing more, for this reason; return what waited, oldest first, and forget it."""
        self._sealed = self._sealed or reason
        left = []
        while item := self.take():
            left.append(item)
        self._let_in()
        return left

    def forget(self) -> None:
        """Let nothing wait any more, and nobody for room: in the child of a fork, where no lock may be asked for."""
        self._waiting, self._blocked, self.size = deque(), deque(), 0

    def waiting(self) -> tuple[RiskEvent, ...]:
        """Return what waits, oldest first."""
        return tuple(item.event for item in self._waiting.copy())

    def delay_ns(self, now_ns: int) -> int:
        """Return for how long the handler has been running, or the oldest event has waited: what is longer."""
        running = now_ns - self.since_ns if self.in_hand is not None else 0
        try:
            return max(running, now_ns - self._waiting[0].published_ns)
        except IndexError:
            return running

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is being served."""
        return not self._waiting and not self._claimed.locked()

    def _refusal(self, size: int) -> DropReason | None:
        if self._sealed is not None:
            return self._sealed
        bounds = self._bounds
        if len(self._waiting) >= bounds.events:
            return DropReason.QUEUE_EVENTS
        if bounds.size is not None and self.size + size > bounds.size:
            return DropReason.QUEUE_BYTES
        return None

    def _let_in(self) -> None:
        while self._blocked:
            try:
                self._blocked.popleft().release()
            except IndexError:  # another thread was faster
                return
