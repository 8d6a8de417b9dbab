"""How much a strategy has lost since it was at its best."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from riskbus.errors import SettingsError
from riskbus.sensors.amounts import Amount, exact, half, less


@dataclass(frozen=True, slots=True)
class Drawdown:
    """One assessment of a strategy's equity.

    Attributes:
        equity: The equity that was assessed.
        peak: The highest equity of the session.
        drawdown: What was lost since the peak; never negative.
        limit: The limit that applies.
        peak_at_ns: When the peak was reached, in nanoseconds since the epoch.
        breached: Whether the limit counts as breached: from above the limit until at or below the re-arm level.
        changed: Whether that is news: `breached` was the other way round before.
    """

    equity: Decimal
    peak: Decimal
    drawdown: Decimal
    limit: Decimal
    peak_at_ns: int
    breached: bool
    changed: bool


class DrawdownMonitor:
    """Compares the loss since the highest equity with a limit.

    RTS 6 (Commission Delegated Regulation (EU) 2017/589), Article 15(4), wants limits on market and credit risk, and
    Article 17 their assessment in real time.

    A drawdown that hovers around its limit must not pull the kill switch each time it crosses: once breached, the limit
    counts as breached until the drawdown is at or below `rearm_at`.

    ::

        armed ──drawdown > limit──▶ breached
          ▲                            │
          └───drawdown <= rearm_at─────┘

    Amounts are ints (of cents, for example) or Decimals, and are compared exactly; floats are refused.

    Thread-safety: one thread at a time.

    Args:
        limit: Loss since the peak above which the limit is breached. Must be positive.
        rearm_at: Loss at or below which it is no longer. None for half the limit. From 0 to the limit.
        clock: Wall-clock time in nanoseconds since the epoch, as `time.time_ns`.

    Raises:
        SettingsError: A limit is wrong, or an amount is a float.
    """

    def __init__(
        self, limit: Amount, *, rearm_at: Amount | None = None, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._limit = exact("limit", limit)
        if self._limit <= 0:
            raise SettingsError(f"limit is {limit!r}: give a positive amount")
        self._rearm_at = half(self._limit) if rearm_at is None else exact("rearm_at", rearm_at)
        if not 0 <= self._rearm_at <= self._limit:
            raise SettingsError(f"rearm_at is {rearm_at!r}: give an amount from 0 to the limit, {limit!r}")
        self._clock = clock
        self.begin_session()

    def begin_session(self) -> None:
        """Forget the peak and arm again, as at the beginning of a trading day. The next equity is the first peak."""
        self._peak: Decimal | None = None
        self._peak_at_ns = 0
        self._breached = False

    def assess(self, equity: Amount) -> Drawdown:
        """Take the equity of now: cash and positions at their market value.

        Returns:
            The verdict.

        Raises:
            SettingsError: The equity is a float, or no number.
        """
        now = exact("equity", equity)
        if self._peak is None or now > self._peak:
            self._peak, self._peak_at_ns = now, self._clock()
        lost = less(self._peak, now)
        before = self._breached
        self._breached = lost > (self._rearm_at if before else self._limit)
        return Drawdown(
            equity=now,
            peak=self._peak,
            drawdown=lost,
            limit=self._limit,
            peak_at_ns=self._peak_at_ns,
            breached=self._breached,
            changed=self._breached != before,
        )
