"""A day of events, 1,000 a second, as fast as the log takes them: does memory grow, does garbage pile up?

A collection of the oldest generation stops the thread that causes it for as long as it takes to look at everything
that the trading system holds: 83 ms for each million objects. So none must be caused by publishing.

The default is a part of a day; `--scale 400` is the whole day, which writes 40 GB and takes its time.
"""

import gc
from functools import partial
from pathlib import Path
from time import sleep

from benchmarks.common import Figure, Options, Report, main
from benchmarks.load import WRITERS, Backpressure, fresh_event, open_bus, recorded
from benchmarks.measuring import Sample, interleave, typical
from riskbus import EventType, Receipt, RiskEvent

_DAY = 86_400_000  # events
_OLDEST = 2  # generation
_WARM_UP = 0.2  # of the events: buffers reach their size
_MOST_WAITING = 64  # events in a queue; at 1,000 a second there are none
_MOST_GROWTH = 1.0  # MiB; what an allocator moves about by itself


def ours(path: str, count: int) -> Sample:
    """Publish fresh events to one inline and one waiting subscriber, which gets the time that a real day gives it."""
    with open_bus(path) as bus:
        bus.subscribe(EventType.LIMIT_BREACH, _ignore, inline=True)
        waiting = bus.subscribe(EventType.LIMIT_BREACH, _ignore)
        log_keeps_up = Backpressure()

        def keep_up(receipt: Receipt) -> None:
            log_keeps_up(receipt)
            while waiting.statistics().waiting > _MOST_WAITING:
                sleep(0)

        warm_up = int(count * _WARM_UP)
        for number in range(warm_up):
            keep_up(bus.publish(fresh_event(number)))
        bus.audit_log.flush(60)
        gc.collect()
        before, collections = _private_memory(), _collections()
        for number in range(count - warm_up):
            keep_up(bus.publish(fresh_event(number)))
        bus.audit_log.flush(60)
        collections = _collections() - collections
        gc.collect()
        return {"growth": _private_memory() - before, "collections": collections, "recorded": count}


def _ignore(_: RiskEvent) -> None:
    pass


def _private_memory() -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    kibibytes = next(int(line.split()[1]) for line in status if line.startswith("RssAnon:"))
    return kibibytes / 1024


def _collections() -> int:
    return int(gc.get_stats()[_OLDEST]["collections"])


def measure(options: Options) -> Report:
    """Publish a part of a day and look what stays."""
    count = options.count(_DAY // 400, 20_000)
    repetitions = 1 if options.scale > 1 else options.repetitions
    contenders = {
        f"{writer} writer": partial(recorded, options.directory, ours, count, RISK_AUDIT_WRITER=writer)
        for writer in WRITERS
    }
    results = interleave(contenders, repetitions)
    title = f"{count:,} events, {count / _DAY:.2%} of a day"
    columns = ("contender", "growth, MiB of private memory", "collections of the oldest generation")
    report = Report(title, columns)
    report.add_medians(results, ("growth", "collections"))
    for name, samples in results.items():
        growth, collections = (typical(samples, key) for key in ("growth", "collections"))
        report.figures.append(Figure(f"growth, {name}", growth, "MiB", at_most=_MOST_GROWTH))
        report.figures.append(Figure(f"collections caused, {name}", collections, "", at_most=0))
    return report


if __name__ == "__main__":
    main(measure)
