"""How many events a second the log takes for long: until they are durable, hashed and sealed.

The floor is one thread that does what has to be done and nothing else: serialise, SHA-256 of each line, writes of
256 KiB, one fdatasync at the end. The log does this beside a producer that gives it ready events as fast as it goes
and waits when too much is not durable yet.
"""

import os
from functools import partial
from hashlib import sha256
from itertools import cycle, islice
from time import perf_counter_ns

import orjson

from benchmarks.common import Figure, Options, Report, main
from benchmarks.load import (
    WRITERS,
    Backpressure,
    lines_in,
    open_log,
    ready_events,
    ready_fields,
    recorded,
)
from benchmarks.measuring import RunError, Sample, interleave, ratio

FLOOR = "dumps + SHA-256 + writes + one fdatasync"
_GOALS = {"thread": 0.5, "process": 0.8}  # of the floor
_BLOCK = 256 << 10


def floor(path: str, count: int) -> Sample:
    """Do what has to be done, in one thread."""
    ready = ready_fields()
    block = bytearray()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    started = perf_counter_ns()
    for item in islice(cycle(ready), count):
        line = orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE)
        sha256(line).digest()
        block += line
        if len(block) >= _BLOCK:
            os.write(descriptor, block)
            block.clear()
    os.write(descriptor, block)
    os.fdatasync(descriptor)
    seconds = (perf_counter_ns() - started) / 1e9
    return {"events": count / seconds, "recorded": count}


def ours(path: str, count: int) -> Sample:
    """Append ready events until all is durable and the last checkpoint covers it."""
    ready = ready_events()
    with open_log(path) as log:
        keep_up = Backpressure()
        started = perf_counter_ns()
        for item in islice(cycle(ready), count):
            keep_up(log.append(item))
        log.close(60)
        seconds = (perf_counter_ns() - started) / 1e9
        sealed = int(log.status().checkpoint.splitlines()[1])
    if sealed < count:
        raise RunError(f"the last checkpoint covers {sealed} records, and {count} were appended")
    return {"events": count / seconds, "recorded": count}


def measure(options: Options) -> Report:
    """Compare the log with one thread that does the necessary."""
    count = options.count(200_000, 5_000)
    run = partial(recorded, options.directory)
    contenders = {FLOOR: partial(run, floor, count, count=lines_in)}
    contenders |= {f"riskbus, {each} writer": partial(run, ours, count, RISK_AUDIT_WRITER=each) for each in WRITERS}
    results = interleave(contenders, options.repetitions)
    title = f"{count:,} events until durable, hashed and sealed, events a second"
    report = Report(title, ("contender", "events a second"))
    report.add_medians(results, ("events",))
    for each in WRITERS:
        share = ratio(results[f"riskbus, {each} writer"], results[FLOOR], "events")
        report.figures.append(Figure(f"sustained events / floor, {each} writer", share, at_least=_GOALS[each]))
    return report


if __name__ == "__main__":
    main(measure)
