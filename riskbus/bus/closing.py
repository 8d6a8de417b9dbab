"""How a bus ends: what still waits is delivered within a time, and what is left is named."""

import asyncio
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from riskbus.bus.mailbox import Mailbox, serving
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


def drain(mailboxes: Iterable[Mailbox], deadline: float) -> tuple[tuple[str, RiskEvent], ...]:
    """Wait until handlers are done with what waits for them, or the deadline; then take away what is left.

    A handler that closes its bus waits neither for itself nor for what only its own thread could do.

    Args:
        mailboxes: All of the bus.
        deadline: As `time.monotonic` counts.

    Returns:
        What was not delivered, with the names of the subscriptions.
    """
    mine = serving.get()
    others = [mailbox for mailbox in mailboxes if mailbox is not mine]
    awaited = [mailbox for mailbox in others if not _needs_this_thread(mailbox)]
    pause = threading.Event()
    while time.monotonic() < deadline and not all(mailbox.idle for mailbox in awaited):
        pause.wait(_POLL_SECONDS)
    left = [(mailbox, event) for mailbox in others for event in mailbox.seal()]
    if mine is not None:
        left += [(mine, event) for event in mine.seal()]
    in_hand = [(mailbox, mailbox.in_hand) for mailbox in others if mailbox.in_hand is not None]
    return tuple((mailbox.subscription.name, event) for mailbox, event in (*in_hand, *left))


def _needs_this_thread(mailbox: Mailbox) -> bool:
    try:
        return mailbox.subscription.loop is asyncio.get_running_loop()
    except RuntimeError:
        return False
