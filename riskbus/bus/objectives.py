"""Latency objectives: what is too slow, and who is to be told."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

from riskbus.bus_settings import OF_THE_PROCESS, LatencyObjectives, LatencyPath
from riskbus.events import EventPriority

NO_OBJECTIVE = sys.maxsize

_REPEAT_SECONDS = 10.0
"""At most one log line and one event in this time about one path and priority."""


def objectives_ns(latency_slo_us: LatencyObjectives) -> tuple[tuple[int, ...], ...]:
    """Return checked objectives in nanoseconds by path and priority; one number is for what the process does itself."""
    table = [[NO_OBJECTIVE] * len(EventPriority) for _ in LatencyPath]
    for priority, objective in latency_slo_us.items():
        by_path = objective if isinstance(objective, Mapping) else dict.fromkeys(OF_THE_PROCESS, objective)
        for path, microseconds in by_path.items():
            table[path][priority] = round(microseconds * 1000)
    return tuple(tuple(by_priority) for by_priority in table)


@dataclass(frozen=True, slots=True)
class Breach:
    """Latencies above an objective since the last time anybody was told.

    Attributes:
        path: What was slow.
        priority: For events of which priority.
        count: How often.
        worst_ns: The longest, in nanoseconds.
        objective_ns: The objective, in nanoseconds.
    """

    path: LatencyPath
    priority: EventPriority
    count: int
    worst_ns: int
    objective_ns: int


class Breaches:
    """Collects breaches until it is time to tell somebody.

    Thread-safety: `note` from any thread and from signal handlers, `due` from one.
    """

    def __init__(self) -> None:
        self._counts = [[0] * len(EventPriority) for _ in LatencyPath]
        self._worst_ns = [[0] * len(EventPriority) for _ in LatencyPath]
        self._told = [[0] * len(EventPriority) for _ in LatencyPath]
        self._quiet_until = [[0.0] * len(EventPriority) for _ in LatencyPath]

    def note(self, path: LatencyPath, priority: EventPriority, worst_ns: int, count: int = 1) -> None:
        """Take in latencies above their objective."""
        self._counts[path][priority] += count
        self._worst_ns[path][priority] = max(self._worst_ns[path][priority], worst_ns)

    def due(self, objectives: Sequence[Sequence[int]]) -> list[Breach]:
        """Return what is to be told now."""
        now = monotonic()
        return [
            self._tell(path, priority, objectives[path][priority], now)
            for path in LatencyPath
            for priority in EventPriority
            if self._counts[path][priority] > self._told[path][priority] and now >= self._quiet_until[path][priority]
        ]

    def _tell(self, path: LatencyPath, priority: EventPriority, objective_ns: int, now: float) -> Breach:
        self._quiet_until[path][priority] = now + _REPEAT_SECONDS
        worst_ns, self._worst_ns[path][priority] = self._worst_ns[path][priority], 0
        count = self._counts[path][priority] - self._told[path][priority]
        self._told[path][priority] += count
        return Breach(path, priority, count, worst_ns, objective_ns)
