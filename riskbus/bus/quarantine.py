"""Slow subscribers: found, kept from costing others anything, told of, and let back in."""

import logging
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from riskbus.bus.outcomes import SUBSCRIBER_QUARANTINED, SUBSCRIBER_RECOVERED
from riskbus.bus.saying import say
from riskbus.bus.subscription import Subscription

_INLINE_REST_NS = 10_000_000_000
"""A slow inline handler is tried again after ten seconds: only a call can show that it is quick again."""

_NS_PER_MS = 1_000_000


class Quarantine:
    """Decides who is in quarantine.

    ::

        well ── a call or a waiting event takes longer than the limit ──▶ in quarantine: CRITICAL events only
          ▲                                                                    │
          └── all that waited is handled; inline: after ten seconds ───────────┘

    Thread-safety: `look` from one thread, `slow_inline` from any.

    Args:
        slow_ns: The limit, in nanoseconds.
        tell: Takes the type and the data of an event of the bus' own.

    Attributes:
        slow_ns: The limit that holds now.
    """

    def __init__(self, slow_ns: int, tell: Callable[[str, dict[str, Any]], None]) -> None:
        self.slow_ns = slow_ns
        self._tell = tell

    def look(self, subscriptions: tuple[Subscription, ...]) -> None:
        """Look at every subscription."""
        now_ns = perf_counter_ns()
        for subscription in subscriptions:
            if subscription.quarantined:
                if self._recovered(subscription, now_ns):
                    self._let_out(subscription)
            elif not subscription.inline:
                delay_ns = max(mailbox.delay_ns(now_ns) for mailbox in subscription.mailboxes)
                if delay_ns > self.slow_ns:
                    self._put_in(subscription, delay_ns)

    def slow_inline(self, subscription: Subscription, handler_ns: int) -> None:
        """Take in that an inline handler was slow."""
        self._put_in(subscription, handler_ns)

    def _put_in(self, subscription: Subscription, delay_ns: int) -> None:
        if not subscription.enter_quarantine():
            return
        say(
            logging.ERROR,
            "Handler %s is in quarantine: it was slow by %d ms; until it has caught up it gets CRITICAL events only",
            subscription.name, delay_ns // _NS_PER_MS,
        )  # fmt: skip
        data = {"subscription": subscription.name, "delay_ms": delay_ns // _NS_PER_MS, "waiting": subscription.waiting}
        self._tell(SUBSCRIBER_QUARANTINED, data)

    def _recovered(self, subscription: Subscription, now_ns: int) -> bool:
        if subscription.inline:
            return now_ns - subscription.quarantined_ns > _INLINE_REST_NS
        return all(mailbox.idle for mailbox in subscription.mailboxes)

    def _let_out(self, subscription: Subscription) -> None:
        missed = subscription.leave_quarantine()
        text = "Handler %s has caught up and gets all events again; it missed %d"
        say(logging.WARNING, text, subscription.name, missed)
        self._tell(SUBSCRIBER_RECOVERED, {"subscription": subscription.name, "missed": missed})
