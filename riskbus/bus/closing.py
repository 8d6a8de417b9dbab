"""How a bus ends: what still waits is delivered within a time, and what is left is named."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from riskbus.bus.mailbox import Item, Mailbox, serving
from riskbus.bus.queueing import DropReason
from riskbus.bus.subscription import Subscription
from riskbus.events import RiskEvent

_POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What `close` could not finish in its time; false when nothing was left.

    Attributes:
        undelivered: Events that a handler did not get or had not finished with, each with the subscription's name.
        not_durable: Record lines (JSON) that were accepted and are not on durable storage.
    """

    undelivered: tuple[tuple[str, RiskEvent], ...]
    not_durable: tuple[bytes, ...]

    def __bool__(self) -> bool:
        return bool(self.undelivered or self.not_durable)


class Closing:
    """Sees to it that a bus ends once, whoever asks for it from wherever.

    Thread-safety: `close` from any thread, from handlers and from signal handlers.

    Args:
        end: Ends the bus until a deadline, as `time.monotonic` counts, out of so many seconds.
        look: Returns what is unfinished now.
    """

    def __init__(self, end: Callable[[float, float], Unfinished], look: Callable[[], Unfinished]) -> None:
        self._end = end
        self._look = look
        self._lock = threading.Lock()
        self._closer = 0
        self._unfinished: Unfinished | None = None

    def close(self, timeout: float) -> Unfinished:
        """End the bus, or wait for whoever does; a handler and a signal handler in the middle of it do not wait."""
        deadline = time.monotonic() + timeout
        cannot_wait = serving.get() is not None or self._closer == threading.get_ident()
        if not self._lock.acquire(timeout=0 if cannot_wait else max(0.0, timeout)):
            return self._look()
        try:
            self._closer = threading.get_ident()
            if self._unfinished is None:
                self._unfinished = self._end(deadline, timeout)
            return self._unfinished
        finally:
            self._closer = 0
            self._lock.release()


Drop = Callable[[Subscription, Sequence[Item], DropReason], None]


def drain(mailboxes: Iterable[Mailbox], deadline: float, drop: Drop) -> tuple[tuple[str, RiskEvent], ...]:
    """Wait until handlers are done with what waits for them, or the deadline; then take away what is left.

    A handler that closes its bus waits neither for itself nor for what only its own thread could do.

    Args:
        mailboxes: All of the bus.
        deadline: As `time.monotonic` counts.
        drop: Accounts for what is taken away.

    Returns:
        What was not delivered, with the names of the subscriptions.
    """
    mine = serving.get()
    everyone = list(mailboxes)
    awaited = [mailbox for mailbox in everyone if mailbox is not mine and not _needs_this_thread(mailbox)]
    pause = threading.Event()
    while time.monotonic() < deadline and not all(mailbox.idle for mailbox in awaited):
        pause.wait(_POLL_SECONDS)
    left = [(mailbox.subscription, mailbox.seal(DropReason.BUS_CLOSED)) for mailbox in everyone]
    in_hand = [(each.subscription, [each.in_hand]) for each in everyone if each is not mine and each.in_hand]
    for subscription, items in left:
        drop(subscription, items, DropReason.BUS_CLOSED)
    return tuple((subscription.name, item.event) for subscription, items in (*in_hand, *left) for item in items)


def _needs_this_thread(mailbox: Mailbox) -> bool:
    try:
        return mailbox.subscription.loop is asyncio.get_running_loop()
    except RuntimeError:
        return False
