"""Calculations that turn market and order data into risk verdicts.

Only pure calculation may live here: a sensor is fed with observations, takes the time from the clock it was given,
and answers with a frozen verdict. It publishes nothing, starts no thread and reads no file, so the same sensor runs in
production, in a back-test and in a unit test. What to do about a verdict is the caller's decision.
"""

from riskbus.sensors.drawdown import Drawdown, DrawdownMonitor
from riskbus.sensors.feed_staleness import FeedStaleness, FeedStalenessCalculator
from riskbus.sensors.order_rate import OrderRate, OrderRateThrottle

__all__ = [
    "Drawdown",
    "DrawdownMonitor",
    "FeedStaleness",
    "FeedStalenessCalculator",
    "OrderRate",
    "OrderRateThrottle",
]
