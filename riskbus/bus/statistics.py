"""What `RiskEventBus.statistics` returns: a consistent picture of one moment, in plain values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from riskbus.bus.configuration import ConfigurationStatistics
from riskbus.bus.subscription import SubscriptionStatistics
from riskbus.bus.tally import BUCKET_BOUNDS_NS, Latencies, Latency, no_latencies
from riskbus.bus_settings import LatencyPath
from riskbus.events import EventPriority


@dataclass(frozen=True, slots=True)
class LatencyStatistics:
    """Latencies of one path and priority.

    Attributes:
        count: How many were measured.
        total_ns: Their sum in nanoseconds.
        late: How many were above the objective of their priority.
        cumulative: How many were at most each bound of `BUCKET_BOUNDS_NS`.
    """

    count: int
    total_ns: int
    late: int
    cumulative: tuple[int, ...]

    def quantile_ns(self, share: float) -> int:
        """Return the upper bound, in nanoseconds, of the bucket that holds this quantile; 0 when nothing was measured.

        Above the last bound, one second, that bound is returned.
        """
        wanted = share * self.count
        if not self.count:
            return 0
        for bound, so_far in zip(BUCKET_BOUNDS_NS, self.cumulative, strict=True):
            if so_far >= wanted:
                return bound
        return BUCKET_BOUNDS_NS[-1]


@dataclass(frozen=True, slots=True)
class BusStatistics:
    """A snapshot of a bus.

    Attributes:
        published: Published events by priority.
        delivered: Handler calls that ended, by priority.
        latencies: By path and priority; all zero when latencies are not monitored.
        subscriptions: One entry for each subscription of now.
        departed: What was counted of subscriptions that were taken back, one entry for each name.
        incomplete: Events that lacked what an auditor will ask for, by the name of their type.
        configuration: How often the settings changed.
    """

    published: Mapping[EventPriority, int]
    delivered: Mapping[EventPriority, int]
    latencies: Mapping[tuple[LatencyPath, EventPriority], LatencyStatistics]
    subscriptions: tuple[SubscriptionStatistics, ...]
    departed: tuple[SubscriptionStatistics, ...]
    incomplete: Mapping[str, int]
    configuration: ConfigurationStatistics


def snapshot(  # noqa: PLR0913 -- the parts of a bus that count
    latencies: Latencies,
    subscriptions: tuple[SubscriptionStatistics, ...],
    departed: tuple[SubscriptionStatistics, ...],
    incomplete: Mapping[str, int],
    configuration: ConfigurationStatistics,
    *,
    timed: bool,
) -> BusStatistics:
    """Put latencies and everybody else's counts into a snapshot; of latencies that were not timed only the counts."""
    shown = latencies if timed else no_latencies()
    return BusStatistics(
        published={priority: sum(latencies[LatencyPath.PUBLISH][priority].buckets) for priority in EventPriority},
        delivered={priority: sum(latencies[LatencyPath.HANDLER][priority].buckets) for priority in EventPriority},
        latencies={
            (path, priority): _latency(shown[path][priority]) for path in LatencyPath for priority in EventPriority
        },
        subscriptions=subscriptions,
        departed=departed,
        incomplete=incomplete,
        configuration=configuration,
    )


def _latency(latency: Latency) -> LatencyStatistics:
    return LatencyStatistics(
        count=sum(latency.buckets),
        total_ns=latency.total_ns,
        late=latency.late,
        cumulative=tuple(accumulate(latency.buckets[:-1])),
    )


def total(several: Sequence[BusStatistics]) -> BusStatistics:
    """Add up the statistics of several buses; of none, everything is zero."""
    return BusStatistics(
        published={priority: sum(each.published[priority] for each in several) for priority in EventPriority},
        delivered={priority: sum(each.delivered[priority] for each in several) for priority in EventPriority},
        latencies={
            (path, priority): _sum([each.latencies[path, priority] for each in several])
            for path in LatencyPath
            for priority in EventPriority
        },
        subscriptions=by_name([subscription for each in several for subscription in each.subscriptions]),
        departed=by_name([subscription for each in several for subscription in each.departed]),
        incomplete=sum((Counter(each.incomplete) for each in several), Counter()),
        configuration=ConfigurationStatistics(
            changes=sum(each.configuration.changes for each in several),
            failures=sum(each.configuration.failures for each in several),
        ),
    )


def _sum(several: Sequence[LatencyStatistics]) -> LatencyStatistics:
    return LatencyStatistics(
        count=sum(each.count for each in several),
        total_ns=sum(each.total_ns for each in several),
        late=sum(each.late for each in several),
        cumulative=tuple(sum(each.cumulative[index] for each in several) for index in range(len(BUCKET_BOUNDS_NS))),
    )


def by_name(several: Sequence[SubscriptionStatistics]) -> tuple[SubscriptionStatistics, ...]:
    """Add up subscriptions of the same name."""
    named: dict[str, SubscriptionStatistics] = {}
    for each in several:
        named[each.name] = named.get(each.name, SubscriptionStatistics(each.name)).plus(each)
    return tuple(named.values())
