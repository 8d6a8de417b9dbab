"""A small trading workload: it watches a feed, works out how stale it is, and publishes risk events through riskbus.

The feed is generated: several symbols tick at random, the same for the same seed, and every now and then it really
stalls. Staleness is measured, not made up: when no tick has come for longer than the limit, the kill switch is pulled;
when ticks come again, trading goes on. More orders in a second than allowed are throttled. SIGUSR1 plays a flash crash,
in which every order is throttled, with a record for each.

Where the records go and how they are kept is not said here: that is in the environment, which the policy gives.
"""

import logging
import os
import random
import signal
import threading
import time

from prometheus_client import start_http_server

from riskbus import EventPriority, EventType, RiskEvent, RiskEventBus, evidence
from riskbus.sensors import FeedStalenessCalculator, OrderRateThrottle

JULES = evidence.Responsible(algorithm="intraday-jules 1.0", trader="t.jules", desk="equities-eu")
SYMBOLS = ("AAPL", "ASML", "BARC", "BMW", "SAP")
STALENESS_LIMIT_MS = 500.0
ORDERS_PER_SECOND_LIMIT = 25
SHARE_OF_STEPS_WITH_ORDERS = 0.3  # at 50 steps a second about 30 orders, more than allowed
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

    def __init__(
        self, bus: RiskEventBus, staleness: FeedStalenessCalculator, rate: OrderRateThrottle, seed: int
    ) -> None:
        self._bus = bus
        self._staleness = staleness
        self._rate = rate
        self._random = random.Random(seed)  # noqa: S311 -- a market, not a secret
        self._trading = True
        self._next_heartbeat = 0.0

    def step(self) -> None:
        """Look at the feed once, decide, and perhaps send some orders."""
        self._check_feed()
        if self._trading and self._random.random() < SHARE_OF_STEPS_WITH_ORDERS:
            for _ in range(self._random.randint(1, 3)):
                self._send_order()
        if time.monotonic() >= self._next_heartbeat:
            self._next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS
            alive = {"trading": self._trading}
            self._bus.publish(RiskEvent(EventType.HEARTBEAT, EventPriority.LOW, "Trader", alive))

    def flash_crash(self) -> None:
        """Throttle a flood of orders, as fast as they come."""
        began = time.time_ns()
        for order in range(FLASH_CRASH_ORDERS):
            self._throttled(ORDERS_PER_SECOND_LIMIT + 1 + order, {"flash_crash": began, "order": order})

    def _check_feed(self) -> None:
        found = self._staleness.assess()
        if found.breached != self._trading:
            return
        self._trading = not found.breached
        decide = evidence.kill_switch if found.breached else evidence.kill_switch_reset
        figures = {
            "max_staleness_ms": round(found.max_staleness_ms, 3),
            "limit_ms": STALENESS_LIMIT_MS,
            "symbol": found.max_symbol,
            "stale_symbols": list(found.stale),
        }
        self._bus.publish(decide("FeedStalenessCalculator", JULES, rule_triggered="feed_staleness_limit", data=figures))

    def _send_order(self) -> None:
        rate = self._rate.admit()  # this market is only imagined: an order that is admitted goes nowhere
        if rate.changed and rate.throttled:
            self._throttled(rate.messages + 1, {"retry_after_ms": rate.retry_after_ns / 1e6})
        elif rate.changed:
            self._bus.publish(RiskEvent(EventType.THROTTLE_RELEASED, EventPriority.NORMAL, "OrderRateThrottle"))

    def _throttled(self, orders: int, figures: dict[str, object]) -> None:
        self._bus.publish(
            evidence.limit_breach(
                "OrderRateThrottle",
                JULES,
                rule_triggered="order_rate_limit",
                limit=ORDERS_PER_SECOND_LIMIT,
                observed=orders,
                unit="orders/s",
                kind=EventType.THROTTLE,
                priority=EventPriority.NORMAL,
                data=figures,
            )
        )


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
        _log.info("records go to %s", bus.settings.path)
        bus.subscribe(EventType.KILL_SWITCH, lambda event: _log.warning("kill switch: %s", event.data), inline=True)
        feed = Feed(staleness, seed)
        feed.start()
        trader = Trader(bus, staleness, OrderRateThrottle(ORDERS_PER_SECOND_LIMIT), seed)
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
