"""Events of one priority that wait for one subscription."""

import threading
from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING

from riskbus.events import EventPriority, RiskEvent

if TYPE_CHECKING:
    from riskbus.bus.subscription import Subscription

serving: ContextVar["Mailbox | None"] = ContextVar("serving", default=None)
"""The mailbox whose handler runs here: in this worker thread, or in this task of an event loop."""


class Mailbox:
    """A bounded queue with one reader at a time, so that order within it is the order of publishing.

    ::

        idle ──claim──▶ waiting for a worker ──▶ being served ──release──▶ idle
                              ▲                                  │
                              └────── claim: more has come ◀─────┘

    Whoever offers an event and then gets the claim must hand the mailbox to a worker. The claim is a lock that is only
    ever tried, never waited for: `offer` and `claim` cannot block, not even when a signal handler publishes in the
    middle of a publish on the same thread.

    Thread-safety: `offer`, `claim`, `seal` and `idle` from any thread; the rest only by the holder of the claim, or
    after `seal`.

    Attributes:
        subscription: Whose events these are.
        priority: The one priority of all events in it.
        in_hand: The event whose handler runs now, if any.
    """

    __slots__ = ("_capacity", "_claimed", "_waiting", "in_hand", "priority", "subscription")

    def __init__(self, subscription: "Subscription", priority: EventPriority, capacity: int) -> None:
        self.subscription = subscription
        self.priority = priority
        self.in_hand: RiskEvent | None = None
        self._capacity = capacity
        self._waiting: deque[tuple[RiskEvent, int]] = deque()
        self._claimed = threading.Lock()

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, event: RiskEvent, published_ns: int) -> bool:
        """Queue an event; False when the mailbox is full or sealed.

        Several threads that offer at the same instant can exceed the capacity by one event each.
        """
        if len(self._waiting) >= self._capacity:
            return False
        self._waiting.append((event, published_ns))
        # Sealed in between: whoever sealed may have looked already, so take back whatever is still there.
        return self._capacity > 0 or self.take() is None

    def take(self) -> tuple[RiskEvent, int] | None:
        """Remove and return the oldest event and when it was published, or None."""
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    def claim(self) -> bool:
        """Become the one who must see to it that the mailbox is served; False when someone already is."""
        return self._claimed.acquire(blocking=False)

    def release(self) -> bool:
        """Give up the claim; True when events came meanwhile and the caller holds a new claim because of them."""
        self._claimed.release()
        return bool(self._waiting) and self.claim()

    def seal(self) -> list[RiskEvent]:
        """Accept nothing more; return what waited, oldest first, and forget it."""
        self._capacity = 0
        left = []
        while item := self.take():
            left.append(item[0])
        return left

    def waiting(self) -> tuple[RiskEvent, ...]:
        """Return what waits, oldest first."""
        return tuple(event for event, _ in self._waiting.copy())

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is being served."""
        return not self._waiting and not self._claimed.locked()
