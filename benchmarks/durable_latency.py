"""How long after `append` an event is durable, at 20,000 events a second.

The floor is one thread that writes and syncs whatever has come due since its last sync, back to back. Against it stand
durability `sync` (back to back as well) and `group` (a tick between the beginnings of batches; only CRITICAL events
come at once).

The producer looks at the clock without a pause. *Yielding*, it lets go of the interpreter's lock each time, as any loop
does that waits for a socket; *holding*, it never does, and a writer in a thread gets the lock only after the
interpreter's switch interval. A writer in a process of its own does not need that lock.
"""

import os
from array import array
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import cycle
from time import perf_counter_ns

import orjson

from benchmarks.common import Figure, Options, Report, main
from benchmarks.load import WRITERS, lines_in, open_log, ready_events, ready_fields, recorded
from benchmarks.measuring import RATE, Sample, give_way, interleave, percentiles, ratio
from riskbus import AuditLog, Receipt
from riskbus.runtime.rounds import TICK

FLOOR = "write + fdatasync, back to back"
_INTERVAL = 1_000_000_000 // RATE
_BACK_TO_BACK_GOAL = 2.0  # times the floor
_TICK_GOAL = 1.5  # times the floor, after the tick
_KEYS = ("p50", "p99", "p99.9")
_WAIT: dict[str, Callable[[], object]] = {"yielding": give_way, "holding": int}


def floor(path: str, count: int) -> Sample:
    """Write and sync what is due, again and again."""
    line = orjson.dumps(ready_fields()[0], option=orjson.OPT_APPEND_NEWLINE)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    samples = array("q")
    began = perf_counter_ns()
    while len(samples) < count:
        done = len(samples)
        due = min((perf_counter_ns() - began) // _INTERVAL, count) - done
        if due > 0:
            os.write(descriptor, line * due)
            os.fdatasync(descriptor)
            now = perf_counter_ns()
            samples.extend(now - began - (done + number) * _INTERVAL for number in range(1, due + 1))
    return percentiles(samples) | {"recorded": count}


def ours(path: str, count: int, producer: str) -> Sample:
    """Append at a steady rate and note when each receipt becomes durable."""
    with open_log(path) as log:
        return _watch(log, count, _WAIT[producer]) | {"recorded": count}


def _watch(log: AuditLog, count: int, wait: Callable[[], object]) -> Sample:
    ready = cycle(ready_events())
    waiting: deque[tuple[int, Receipt]] = deque()
    samples = array("q")
    due, appended = perf_counter_ns(), 0
    while len(samples) < count:
        now = perf_counter_ns()
        while waiting and waiting[0][1].durable:
            samples.append(now - waiting.popleft()[0])
        if now >= due and appended < count:
            waiting.append((now, log.append(next(ready))))
            appended += 1
            due += _INTERVAL
        else:
            wait()
    return percentiles(samples)


def measure(options: Options) -> Report:
    """Compare the log with a bare write and sync of the same batches."""
    count = options.count(20_000, 500)
    run = partial(recorded, options.directory)
    contenders = {FLOOR: partial(run, floor, count, count=lines_in)}
    for writer in WRITERS:
        for durability in ("sync", "group"):
            for producer in _WAIT:
                environment = {"RISK_AUDIT_WRITER": writer, "RISK_AUDIT_DURABILITY": durability}
                name = _name(writer, durability, producer)
                contenders[name] = partial(run, ours, count, producer, **environment)
    results = interleave(contenders, options.repetitions)
    title = "from append to durable, 20,000 events a second, microseconds"
    report = Report(title, ("contender", *_KEYS))
    report.add_medians(results, _KEYS)
    for writer in WRITERS:
        report.figures += _figures(results, writer)
    return report


def _figures(results: dict[str, list[Sample]], writer: str) -> list[Figure]:
    found = []
    back_to_back, with_tick = (results[_name(writer, durability, "yielding")] for durability in ("sync", "group"))
    after_tick = [{key: sample[key] - TICK * 1e6 for key in _KEYS} for sample in with_tick]
    for key in ("p50", "p99"):
        value = ratio(back_to_back, results[FLOOR], key)
        found.append(Figure(f"durable {key} / floor, sync, {writer} writer", value, at_most=_BACK_TO_BACK_GOAL))
        value = ratio(after_tick, results[FLOOR], key)
        name = f"(durable {key} - tick) / floor, group, {writer} writer"
        found.append(Figure(name, value, at_most=_TICK_GOAL))
    return found


def _name(writer: str, durability: str, producer: str) -> str:
    return f"riskbus {durability}, {writer} writer, {producer} producer"


if __name__ == "__main__":
    main(measure)
