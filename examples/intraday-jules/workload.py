"""A small trading workload: it watches a feed, works out how stale it is, and publishes risk events through riskbus.

The feed is generated: several symbols tick at random, the same for the same seed, and every now and then it really
stalls. Staleness is measured, not made up: when no tick has come for longer than the limit, the kill switch is pulled;
when ticks come again, trading goes on. A count of orders in a sliding second gives the THROTTLE events. SIGUSR1 plays
a flash crash, in which every order is throttled, with a record for each.
"""

import logging
import os
import random
import signal
import threading
import time
from collections import deque

from prometheus_client import start_http_server

from riskbus import EventPriority, EventType, RiskEvent, RiskEventBus
from riskbus.sensors import FeedStalenessCalculator

SYMBOLS = ("AAPL", "ASML", "BARC", "BMW", "SAP")
STALENESS_LIMIT_MS = 500.0
ORDERS_PER_SECOND_LIMIT = 25
TICKS_PER_SECOND = 100.0
SECONDS_BETWEEN_STALLS = 6.0
STALL_SECONDS = 1.0
HEARTBEAT_SECONDS = 1.0
FLASH_CRASH_ORDERS = 20_000
METRICS_PORT = int(os.environ.get("METRICS_PORT", "9464"))

_log = logging.getLogger("intraday-jules")


class Feed(threading.Thread):
    """Ticks of all symbols at random moments, with a real stall every few seconds."""

    def __init__(self, staleness: FeedStalenessCalculator, seed: int) -> None:
        super().__init__(name="feed", daemon=True)
        self._staleness = staleness
        self._random = random.Random(seed)  # noqa: S311 -- a market, not a secret
        self.stopped = threading.Event()

    def run(self) -> None:
        """Tick until stopped."""
        next_stall = time.monotonic() + SECONDS_BETWEEN_STALLS
        while not self.stopped.wait(self._random.expovariate(TICKS_PER_SECOND)):
            self._staleness.on_tick(self._random.choice(SYMBOLS), time.time_ns())
            if time.monotonic() >= next_stall:
                self.stopped.wait(STALL_SECONDS)
                next_stall = time.monotonic() + SECONDS_BETWEEN_STALLS


class Trader:
    """Sends orders while trading is on, and lets riskbus know of every risk decision."""

    def __init__(self, bus: RiskEventBus, staleness: FeedStalenessCalculator, seed: int) -> None:
        self._bus = bus
        self._staleness = staleness
        self._random = random.Random(seed)  # noqa: S311 -- a market, not a secret
        self._orders: deque[float] = deque()
        self._trading = True
        self._throttled = False
        self._next_heartbeat = 0.0

    def step(self) -> None:
        """Look at the feed and at the order rate once, and decide."""
        self._check_feed()
        self._check_order_rate()
        if time.monotonic() >= self._next_heartbeat:
            self._next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS
            self._publish(EventType.HEARTBEAT, EventPriority.LOW, "Trader", {"trading": self._trading}, "heartbeat")

    def flash_crash(self) -> None:
        """Throttle a flood of orders, as fast as they come."""
        began = time.time_ns()
        for order in range(FLASH_CRASH_ORDERS):
            figures: dict[str, object] = {"flash_crash": began, "order": order, "limit": ORDERS_PER_SECOND_LIMIT}
            self._publish(EventType.THROTTLE, EventPriority.NORMAL, "OrderRateLimiter", figures, "order_rate_limit")

    def _check_feed(self) -> None:
        found = self._staleness.assess()
        if bool(found.stale) != self._trading:
            return
        self._trading = not found.stale
        figures: dict[str, object] = {
            "max_staleness_ms": round(found.max_staleness_ms, 3),
            "limit_ms": STALENESS_LIMIT_MS,
        }
        figures |= {"symbol": found.max_symbol, "stale_symbols": list(found.stale)}
        if found.stale:
            kind, priority = EventType.KILL_SWITCH, EventPriority.CRITICAL
        else:
            kind, priority = EventType.KILL_SWITCH_RESET, EventPriority.HIGH
        self._publish(kind, priority, "FeedStalenessCalculator", figures, "feed_staleness_limit")

    def _check_order_rate(self) -> None:
        now = time.monotonic()
        if self._trading and not self._throttled and self._random.random() < 0.3:  # noqa: PLR2004 -- about 15 orders in a second
            self._orders.extend([now] * self._random.randint(1, 3))
        while self._orders and self._orders[0] < now - 1.0:
            self._orders.popleft()
        throttled = len(self._orders) > ORDERS_PER_SECOND_LIMIT
        if throttled and not self._throttled:
            figures: dict[str, object] = {"orders_per_second": len(self._orders), "limit": ORDERS_PER_SECOND_LIMIT}
            self._publish(EventType.THROTTLE, EventPriority.NORMAL, "OrderRateLimiter", figures, "order_rate_limit")
        self._throttled = throttled

    def _publish(
        self, kind: EventType, priority: EventPriority, source: str, figures: dict[str, object], rule: str
    ) -> None:
        metadata = {"rule_triggered": rule, "algorithm": "intraday-jules", "desk": "equities-eu"}
        self._bus.publish(RiskEvent(kind, priority, source=source, data=figures, metadata=metadata))


def main() -> None:
    """Trade until SIGTERM, then make every event durable and end."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    start_http_server(METRICS_PORT)
    seed = int(os.environ.get("FEED_SEED", "20260115"))
    terminated, crashed = threading.Event(), threading.Event()
    signal.signal(signal.SIGUSR1, lambda *_: crashed.set())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: terminated.set())
    staleness = FeedStalenessCalculator(STALENESS_LIMIT_MS, symbols=SYMBOLS)
    with RiskEventBus() as bus:
        bus.subscribe(EventType.KILL_SWITCH, lambda event: _log.warning("kill switch: %s", event.data), inline=True)
        feed = Feed(staleness, seed)
        feed.start()
        trader = Trader(bus, staleness, seed)
        while not terminated.wait(0.02):
            trader.step()
            if crashed.is_set():
                crashed.clear()
                trader.flash_crash()
        feed.stopped.set()
        feed.join()
    _log.info("ended")


if __name__ == "__main__":
    main()
