"""How many messages go to a venue, and whether one more may."""

import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from riskbus.errors import SettingsError
from riskbus.quantities import LONGEST_SECONDS, is_duration, is_whole

_NS_PER_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class OrderRate:
    """The answer about one message.

    Attributes:
        admitted: Whether it may be sent; it is counted then.
        messages: Admitted messages in the window that ends now, this one included.
        limit: How many there may be.
        throttled: Whether messages are held back: from the first that was refused until few enough are in the window.
        changed: Whether that is news: `throttled` was the other way round before.
        retry_after_ns: Nanoseconds until one will be admitted if none is asked for meanwhile; 0 if this one was.
    """

    admitted: bool
    messages: int
    limit: int
    throttled: bool
    changed: bool
    retry_after_ns: int


class OrderRateThrottle:
    """Admits at most so many messages in any window of time: orders, changes and cancellations together.

    RTS 6 (Commission Delegated Regulation (EU) 2017/589), Article 15(1), wants a maximum messages limit; venues want
    one too, and disconnect who exceeds theirs. A window that slides keeps the limit in *every* window of its length,
    which a counter for each calendar second does not: that lets twice as many through around the turn of a second.

    A strategy that sends faster than it may must not be throttled and released with each message: once a message was
    refused, all are until at most `resume_at` are left in the window.

    ::

        flowing ──messages == limit──▶ throttled
           ▲                               │
           └──messages <= resume_at────────┘

    Everything is counted in whole nanoseconds. Memory is bounded by the limit.

    Thread-safety: one thread at a time.

    Args:
        limit: Messages in any window. At least 1.
        window_seconds: Length of the window in seconds. Must be positive.
        resume_at: Messages in the window at which they flow again, from 0 to one less than the limit. None for four
            fifths of the limit.
        clock: Time in nanoseconds that never goes back, as `time.monotonic_ns`.

    Raises:
        SettingsError: An argument is wrong.
    """

    def __init__(
        self,
        limit: int,
        *,
        window_seconds: float = 1.0,
        resume_at: int | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        if not is_whole(limit, 1, sys.maxsize):
            raise SettingsError(
                f"limit is {limit!r}: give the number of messages in a window, a whole one, at least 1 and "
                f"at most {sys.maxsize}"
            )
        if not is_duration(window_seconds):
            raise SettingsError(
                f"window_seconds is {window_seconds!r}: give a positive number of seconds, at most {LONGEST_SECONDS}"
            )
        self._limit = limit
        self._window_ns = max(1, round(window_seconds * _NS_PER_SECOND))
        self._resume_at = limit * 4 // 5 if resume_at is None else resume_at
        if not is_whole(self._resume_at, 0, limit - 1):
            raise SettingsError(f"resume_at is {resume_at!r}: give a number from 0 to one less than the limit, {limit}")
        self._clock = clock
        self._sent_ns: deque[int] = deque(maxlen=limit)
        self._throttled = False

    def admit(self) -> OrderRate:
        """Ask to send one message now; it is counted if the answer is yes."""
        now_ns = self._clock()
        while self._sent_ns and self._sent_ns[0] <= now_ns - self._window_ns:
            self._sent_ns.popleft()
        before = self._throttled
        self._throttled = len(self._sent_ns) > self._resume_at if before else len(self._sent_ns) == self._limit
        if not self._throttled:
            self._sent_ns.append(now_ns)
        return OrderRate(
            admitted=not self._throttled,
            messages=len(self._sent_ns),
            limit=self._limit,
            throttled=self._throttled,
            changed=self._throttled != before,
            retry_after_ns=self._retry_after_ns(now_ns) if self._throttled else 0,
        )

    def _retry_after_ns(self, now_ns: int) -> int:
        last_to_leave = len(self._sent_ns) - self._resume_at - 1
        return self._sent_ns[last_to_leave] + self._window_ns - now_ns
