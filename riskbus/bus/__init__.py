"""The event bus: lanes by priority, subscriptions, delivery, and what it all took.

What may live here: everything between `publish` and a handler. The audit log below knows nothing of it.
"""

from riskbus.bus.bus import RiskEventBus
from riskbus.bus.closing import Unfinished
from riskbus.bus.statistics import BusStatistics, LatencyStatistics
from riskbus.bus.subscription import Subscription, SubscriptionStatistics

__all__ = [
    "BusStatistics",
    "LatencyStatistics",
    "RiskEventBus",
    "Subscription",
    "SubscriptionStatistics",
    "Unfinished",
]
