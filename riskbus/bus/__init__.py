"""The event bus: lanes by priority, subscriptions, delivery, and what it all took.

What may live here: everything between `publish` and a handler. The audit log below knows nothing of it.
"""

from riskbus.bus.bus import RiskEventBus
from riskbus.bus.closing import Unfinished
from riskbus.bus.outcomes import Outcome
from riskbus.bus.queueing import DropReason, WhenFull
from riskbus.bus.statistics import BusStatistics, LatencyStatistics
from riskbus.bus.subscription import Subscription, SubscriptionStatistics
from riskbus.bus_settings import LatencyPath

__all__ = [
    "BusStatistics",
    "DropReason",
    "LatencyPath",
    "LatencyStatistics",
    "Outcome",
    "RiskEventBus",
    "Subscription",
    "SubscriptionStatistics",
    "Unfinished",
    "WhenFull",
]
