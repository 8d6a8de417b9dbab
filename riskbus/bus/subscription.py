"""Who wants which events, and what became of them."""

import inspect
import logging
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from riskbus.bus.mailbox import Mailbox
from riskbus.bus.queueing import Bounds, DropReason
from riskbus.bus.saying import say
from riskbus.errors import SettingsError
from riskbus.events import EventPriority, RiskEvent, event_type_name, no_name
from riskbus.texts import utf8

if TYPE_CHECKING:
    import asyncio


Handler = Callable[[RiskEvent], object] | Callable[[RiskEvent], Awaitable[object]]
EventTypes = str | Enum | Iterable[str | Enum] | None

_REPEAT_LOG_SECONDS = 10.0
"""At most one line in this time about failures, and one about drops, of one subscription."""

_ERROR_LIMIT = 200  # characters of an error's text: enough to find it in the program's own log


@dataclass(frozen=True, slots=True)
class SubscriptionStatistics:
    """What became of one subscription's events.

    Attributes:
        name: The subscription's name.
        waiting: Events that wait now.
        waiting_bytes: Their bytes, as far as a bound counts them.
        failed: Handler calls that raised.
        dropped_by: Events that the handler never got, by reason; reasons that did not occur are left out.
        quarantined: Whether it is in quarantine now.
        quarantines: How often it came into quarantine.
    """

    name: str
    waiting: int = 0
    waiting_bytes: int = 0
    failed: int = 0
    dropped_by: Mapping[DropReason, int] = field(default_factory=dict)
    quarantined: bool = False
    quarantines: int = 0

    @property
    def dropped(self) -> int:
        """How many events the handler never got."""
        return sum(self.dropped_by.values())

    def plus(self, other: "SubscriptionStatistics") -> "SubscriptionStatistics":
        """Return both together, under this one's name."""
        return SubscriptionStatistics(
            self.name,
            waiting=self.waiting + other.waiting,
            waiting_bytes=self.waiting_bytes + other.waiting_bytes,
            failed=self.failed + other.failed,
            dropped_by=Counter(self.dropped_by) + Counter(other.dropped_by),
            quarantined=self.quarantined or other.quarantined,
            quarantines=self.quarantines + other.quarantines,
        )


class Subscription:
    """A handler and the events it asked for; made by `RiskEventBus.subscribe`.

    Attributes:
        name: Names the subscription in logs and metrics.
        handler: What is called with each event.
        event_types: Names of the event types; None for all.
        inline: Whether the handler runs on the publisher's thread.
        bounds: What may wait in each of its mailboxes.
        loop: The event loop that an async handler runs on; None for others.
        mailboxes: One for each priority, indexed by it.
        schedule: Has a claimed mailbox served.
        quarantined: Whether it gets CRITICAL events only, because it was slow.
        quarantined_ns: Since when, as `time.perf_counter_ns` counts.
    """

    __slots__ = (
        "_dropped",
        "_dropped_by",
        "_failed",
        "_keep",
        "_lock",
        "_missed_before",
        "_quarantines",
        "bounds",
        "event_types",
        "handler",
        "inline",
        "is_async",
        "loop",
        "mailboxes",
        "name",
        "quarantined",
        "quarantined_ns",
        "schedule",
    )

    mailboxes: tuple[Mailbox, ...]
    schedule: Callable[[Mailbox], None]

    def __init__(
        self, event_types: EventTypes, handler: Handler, *, name: str, inline: bool, bounds: Bounds | None = None
    ) -> None:
        if not callable(handler):
            raise SettingsError(f"handler {handler!r} cannot be called; give a function that takes one RiskEvent")
        self.handler = handler
        self.name = _checked(name) if name else _own_name(handler)
        self.event_types = _names(event_types)
        self.inline = inline
        self.is_async = _is_async(handler)
        if inline and self.is_async:
            raise SettingsError(f"handler {self.name} is async, so it cannot run inline on the publisher's thread")
        self.loop: asyncio.AbstractEventLoop | None = None
        self.bounds = bounds or Bounds()
        self.mailboxes = ()
        self.begin_again()

    def __repr__(self) -> str:
        wanted = "all events" if self.event_types is None else ", ".join(sorted(self.event_types))
        return f"<Subscription {self.name}: {wanted}>"

    def begin_again(self) -> None:
        """Forget what waits and what was counted: at the start, and in the child of a fork."""
        for mailbox in self.mailboxes:
            mailbox.forget()  # whoever forked may be in the middle of serving it
        self.mailboxes = tuple(Mailbox(self, priority, self.bounds) for priority in EventPriority)
        self.quarantined = False
        self.quarantined_ns = 0
        self._lock = threading.RLock()  # a signal handler may publish while this thread counts
        self._failed = _Count()
        self._dropped = _Count()
        self._dropped_by: dict[DropReason, int] = {}
        self._quarantines = 0
        self._missed_before = 0
        self._keep: Callable[[SubscriptionStatistics], None] | None = None  # who counts since it was taken back

    @property
    def waiting(self) -> int:
        """How many events wait for the handler."""
        return sum(len(mailbox) for mailbox in self.mailboxes)

    def wants(self, event_type: str) -> bool:
        """Whether events of the type with this name are for this subscription."""
        return self.event_types is None or event_type in self.event_types

    def note_failure(self, event: RiskEvent, error: BaseException) -> str:
        """Count a handler call that raised, and log it unless that was done a moment ago; return the error's text."""
        with self._lock:
            unlogged = self._failed.add()
            keep = self._keep
        if keep:
            keep(SubscriptionStatistics(self.name, failed=1))
        if unlogged:
            event_id = getattr(event, "event_id", "(deleted)")
            say(
                logging.ERROR,
                "Handler %s raised on event %s (%d failures since the last such line)",
                self.name, event_id, unlogged, exc_info=error,
            )  # fmt: skip
        return _text(error)

    def note_drops(self, number: int, reason: DropReason) -> None:
        """Count events that the handler never gets, and log it unless that was done a moment ago."""
        with self._lock:
            self._dropped_by[reason] = self._dropped_by.get(reason, 0) + number
            unlogged = self._dropped.add(number)
            keep = self._keep
        if keep:
            keep(SubscriptionStatistics(self.name, dropped_by={reason: number}))
        if unlogged:
            say(logging.ERROR, "%d events were not delivered to handler %s: %s", unlogged, self.name, reason)

    def enter_quarantine(self) -> bool:
        """Mark as slow; False when it was already."""
        with self._lock:
            if self.quarantined:
                return False
            self._quarantines += 1
            self._missed_before = self._dropped_by.get(DropReason.QUARANTINED, 0)
            self.quarantined_ns = time.perf_counter_ns()
            self.quarantined = True
            return True

    def leave_quarantine(self) -> int:
        """Mark as well; return how many events it missed meanwhile."""
        with self._lock:
            self.quarantined = False
            return self._dropped_by.get(DropReason.QUARANTINED, 0) - self._missed_before

    def depart(self, keep: Callable[[SubscriptionStatistics], None]) -> None:
        """Hand on everything that was counted so far, and what is counted from now on. `keep` must not block."""
        with self._lock:
            if self._keep:
                return
            self._keep = keep
            failed, dropped_by, quarantines = self._failed.total, dict(self._dropped_by), self._quarantines
        keep(SubscriptionStatistics(self.name, failed=failed, dropped_by=dropped_by, quarantines=quarantines))

    def statistics(self) -> SubscriptionStatistics:
        """Return the counts so far. Thread-safe."""
        with self._lock:
            return SubscriptionStatistics(
                self.name,
                waiting=self.waiting,
                waiting_bytes=sum(mailbox.size for mailbox in self.mailboxes),
                failed=self._failed.total,
                dropped_by=dict(self._dropped_by),
                quarantined=self.quarantined,
                quarantines=self._quarantines,
            )


class _Count:
    """A counter that says when its next log line is due."""

    def __init__(self) -> None:
        self.total = 0
        self._unlogged = 0
        self._quiet_until = 0.0

    def add(self, number: int = 1) -> int:
        """Count; return how many to log now, or 0 while a line was written a moment ago."""
        self.total += number
        self._unlogged += number
        now = time.monotonic()
        if now < self._quiet_until:
            return 0
        self._quiet_until = now + _REPEAT_LOG_SECONDS
        unlogged, self._unlogged = self._unlogged, 0
        return unlogged


def _checked(name: object) -> str:
    """Return a name, if logs and metrics can hold it: a label that is none would take every metric with it."""
    if not isinstance(name, str) or name != utf8(name):
        raise SettingsError(f"name is {name!r}; give a text that is valid UTF-8, or none for the handler's own name")
    return name


def _own_name(handler: Handler) -> str:
    name = getattr(handler, "__qualname__", None)
    return utf8(name if isinstance(name, str) else type(handler).__qualname__)


def _text(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:_ERROR_LIMIT]
    except (Exception, SystemExit):  # noqa: BLE001 -- a foreign __str__ may raise anything
        return type(error).__name__


def _names(event_types: EventTypes) -> frozenset[str] | None:
    if event_types is None:
        return None
    if not isinstance(event_types, str | Enum | Iterable):
        raise no_name(event_types)
    several = [event_types] if isinstance(event_types, str | Enum) else list(event_types)
    if not several:
        raise SettingsError("event_type is an empty list; name at least one event type, or give None for all")
    try:
        return frozenset(event_type_name(event_type) for event_type in several)
    except TypeError:  # a list in the list, for example, which no cache can hold
        raise no_name(event_types) from None


def _is_async(handler: Handler) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)
