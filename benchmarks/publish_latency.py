"""What it costs to make an event and publish it: one inline subscriber, audit log on.

At a steady 20,000 a second against `orjson.dumps` of the same nine fields alone; as fast as it goes against the least
that one could do (make the same event, serialise it, call the handler in a `try`), and against the bus that one writes
in an hour: json, a lock, flush, a pool of ten threads.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock
from time import perf_counter_ns

import orjson

from benchmarks.common import Figure, Options, Report, main
from benchmarks.load import (
    NUMBERS,
    WRITERS,
    Backpressure,
    fresh_event,
    lines_in,
    open_bus,
    ready_fields,
    recorded,
)
from benchmarks.measuring import Sample, apart, flat_out, interleave, paced, ratio
from riskbus import EventType, RiskEvent

FLOOR = "orjson.dumps alone"
DIRECT = "event + dumps + guarded call"
NAIVE = "naive bus"
_PACED_GOAL = 4.0  # times the floor
_DIRECT_GOAL = 0.5  # of the direct call's events a second
_NAIVE_GOAL = 10.0  # times the naive bus' events a second
_KEYS = ("p50", "p99", "p99.9")


class NaiveBus:
    """The bus of an hour: every event is a line that is flushed under a lock, every handler a task of a pool."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(10)

    def publish(self, event: RiskEvent) -> None:
        """Write a line and hand the event to the pool."""
        line = json.dumps(event.fields) + "\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()
        self._pool.submit(handle, event)

    def close(self) -> None:
        """Let everything be handled."""
        self._pool.shutdown()
        self._file.close()


def handle(_: RiskEvent) -> None:
    """Do nothing with an event."""


def floor(count: int) -> Sample:
    """Serialise and forget."""
    return paced(orjson.dumps, ready_fields(), count)


def direct(count: int) -> Sample:
    """Make an event, serialise it, call the handler: as fast as it goes."""

    def once(number: int) -> None:
        made = fresh_event(number)
        orjson.dumps(made.fields)
        try:
            handle(made)
        except Exception as error:  # noqa: BLE001 -- this is the guard that is measured
            print(error)

    return {"events": flat_out(once, NUMBERS, count)}


def ours(path: str, count: int) -> Sample:
    """Publish fresh events at a steady rate."""
    with open_bus(path) as bus:
        bus.subscribe(EventType.LIMIT_BREACH, handle, inline=True)
        return paced(lambda number: bus.publish(fresh_event(number)), NUMBERS, count)


def ours_flat_out(path: str, count: int) -> Sample:
    """Publish fresh events as fast as the log takes them."""
    with open_bus(path) as bus:
        bus.subscribe(EventType.LIMIT_BREACH, handle, inline=True)
        keep_up = Backpressure()
        return {
            "events": flat_out(lambda number: keep_up(bus.publish(fresh_event(number))), NUMBERS, count),
            "recorded": count,
        }


def naive(path: str, count: int) -> Sample:
    """Publish fresh events on the naive bus at a steady rate."""
    bus = NaiveBus(Path(path))
    sample = paced(lambda number: bus.publish(fresh_event(number)), NUMBERS, count)
    bus.close()
    return sample


def naive_flat_out(path: str, count: int) -> Sample:
    """Publish fresh events on the naive bus as fast as it goes, until all are handled."""
    bus = NaiveBus(Path(path))
    started = perf_counter_ns()
    for number in range(count):
        bus.publish(fresh_event(number))
    bus.close()
    return {"events": count / (perf_counter_ns() - started) * 1e9, "recorded": count}


def measure(options: Options) -> Report:
    """Run everybody, paced and as fast as it goes."""
    paced_results = interleave(_paced(options), options.repetitions)
    flat_results = interleave(_flat_out(options), options.repetitions)
    merged = {
        name: [
            one | other
            for one, other in zip(
                paced_results.get(name, [{}] * options.repetitions),
                flat_results.get(name, [{}] * options.repetitions),
                strict=True,
            )
        ]
        for name in dict.fromkeys([*paced_results, *flat_results])
    }
    columns = ("contender", *_KEYS, "events a second")
    report = Report("make an event and publish it: microseconds at 20,000 a second; as fast as it goes", columns)
    report.add_medians(merged, (*_KEYS, "events"))
    for writer in WRITERS:
        report.figures += _figures(merged, writer)
    return report


def _paced(options: Options) -> dict[str, Callable[[], Sample]]:
    count = options.count(20_000, 500)
    run = partial(recorded, options.directory)
    found: dict[str, Callable[[], Sample]] = {FLOOR: partial(apart, floor, count)}
    found |= {_name(writer): partial(run, ours, count, RISK_AUDIT_WRITER=writer) for writer in WRITERS}
    return found | {NAIVE: partial(run, naive, count, count=lines_in)}


def _flat_out(options: Options) -> dict[str, Callable[[], Sample]]:
    count = options.count(100_000, 2_000)
    run = partial(recorded, options.directory)
    found: dict[str, Callable[[], Sample]] = {DIRECT: partial(apart, direct, count)}
    found |= {_name(writer): partial(run, ours_flat_out, count, RISK_AUDIT_WRITER=writer) for writer in WRITERS}
    return found | {NAIVE: partial(run, naive_flat_out, count // 2, count=lines_in)}


def _figures(results: dict[str, list[Sample]], writer: str) -> list[Figure]:
    mine = results[_name(writer)]
    found = []
    for key in _KEYS:
        value = ratio(mine, results[FLOOR], key)
        found.append(Figure(f"publish {key} / floor, {writer} writer", value, at_most=_PACED_GOAL))
    value = ratio(mine, results[DIRECT], "events")
    found.append(Figure(f"events a second / direct call, {writer} writer", value, at_least=_DIRECT_GOAL))
    value = ratio(mine, results[NAIVE], "events")
    found.append(Figure(f"events a second / naive bus, {writer} writer", value, at_least=_NAIVE_GOAL))
    return found


def _name(writer: str) -> str:
    return f"riskbus, {writer} writer"


if __name__ == "__main__":
    main(measure)
