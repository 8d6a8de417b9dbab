"""How old the market data is that a strategy trades on."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from riskbus.errors import SettingsError
from riskbus.quantities import LONGEST_SECONDS, is_duration

_NS_PER_MS = 1_000_000
_LONGEST_MS = LONGEST_SECONDS * 1000


@dataclass(frozen=True, slots=True)
class FeedStaleness:
    """One assessment of a feed.

    Attributes:
        by_symbol: Age of the newest tick of each symbol, in milliseconds.
        stale: Symbols whose age is above their limit, in alphabetical order.
        max_staleness_ms: The greatest age, in milliseconds; 0.0 when no symbol is known.
        max_symbol: The symbol with the greatest age; empty when no symbol is known.
    """

    by_symbol: Mapping[str, float]
    stale: tuple[str, ...]
    max_staleness_ms: float
    max_symbol: str

    @property
    def breached(self) -> bool:
        """Whether at least one symbol is above its limit."""
        return bool(self.stale)


class FeedStalenessCalculator:
    """Measures, for each symbol, the time since the exchange stamped its newest tick.

    A trading venue's feed fails silently: prices simply stop changing. RTS 6 (Commission Delegated Regulation (EU)
    2017/589), Article 16, asks for alerts within five seconds of the event, and Article 12 for a kill functionality;
    the age of the newest tick is the figure that both decisions start from.

    A symbol named at construction ages from that moment, so a feed that never starts is noticed too. A tick older than
    the newest one of its symbol changes nothing (feeds deliver out of order). A tick stamped ahead of the clock counts
    as stamped now: a single bad timestamp in the future must not hide a feed that stopped.

    Thread-safety: ticks may come from one thread while another assesses. Ticks of one symbol must come from one thread.

    Args:
        limit_ms: Age in milliseconds above which a symbol is stale. Must be positive.
        symbols: Symbols that are expected to tick.
        symbol_limits_ms: Limits in milliseconds of symbols that need their own, such as illiquid ones.
        clock: Wall-clock time in nanoseconds since the epoch, as `time.time_ns`.

    Raises:
        SettingsError: A limit is not positive, or not finite.
    """

    def __init__(
        self,
        limit_ms: float,
        *,
        symbols: Iterable[str] = (),
        symbol_limits_ms: Mapping[str, float] | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._default_limit_ns = _limit_ns("limit_ms", limit_ms)
        self._limits_ns = {
            symbol: _limit_ns(f"symbol_limits_ms[{symbol!r}]", limit)
            for symbol, limit in (symbol_limits_ms or {}).items()
        }
        self._clock = clock
        self._newest_ns = dict.fromkeys([*symbols, *self._limits_ns], clock())

    def on_tick(self, symbol: str, exchange_timestamp_ns: int) -> None:
        """Take one tick.

        Args:
            symbol: The instrument, as the feed names it.
            exchange_timestamp_ns: When the exchange stamped the tick, in nanoseconds since the epoch.
        """
        stamped_ns = min(exchange_timestamp_ns, self._clock())
        if stamped_ns > self._newest_ns.get(symbol, -1):
            self._newest_ns[symbol] = stamped_ns

    def assess(self) -> FeedStaleness:
        """Compare every symbol's age with its limit.

        Returns:
            The verdict at the clock's present time.
        """
        now_ns = self._clock()
        ages_ns = {symbol: max(0, now_ns - newest) for symbol, newest in self._newest_ns.copy().items()}
        stale = sorted(
            symbol for symbol, age in ages_ns.items() if age > self._limits_ns.get(symbol, self._default_limit_ns)
        )
        oldest = max(ages_ns, key=ages_ns.__getitem__, default="")
        return FeedStaleness(
            by_symbol={symbol: age / _NS_PER_MS for symbol, age in ages_ns.items()},
            stale=tuple(stale),
            max_staleness_ms=ages_ns.get(oldest, 0) / _NS_PER_MS,
            max_symbol=oldest,
        )


def _limit_ns(name: str, limit_ms: float) -> int:
    if not is_duration(limit_ms, _LONGEST_MS):
        raise SettingsError(f"{name} is {limit_ms!r}: give a positive number of milliseconds, at most {_LONGEST_MS}")
    return int(limit_ms * _NS_PER_MS)
