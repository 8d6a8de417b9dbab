"""How fast events get to one handler, against what else does that. The peers record nothing; our bus always does.

Three figures each: events a second as fast as it goes, until all are handled; the call that publishes, and how long
after its start the handler starts, both at 20,000 events a second. What is slower than that shows what it can. The
publisher lets go of the interpreter's lock between two events; if it did not, every handler on another thread would
wait for the switch interval.
"""

from array import array
from functools import partial
from itertools import count as count_up
from itertools import cycle, islice
from threading import Event
from time import perf_counter_ns

from benchmarks.buses import CONTENDERS, RISKBUS
from benchmarks.common import Figure, Options, Report, main
from benchmarks.load import ready_events, recorded
from benchmarks.measuring import Sample, apart, give_way, installed, interleave, paced, percentiles, ratio
from riskbus import RiskEvent

_KEYS = ("p50", "p99", "p99.9")
_COLUMNS = ("events a second", *(f"publish {key}" for key in _KEYS), *(f"start {key}" for key in _KEYS))
_SHARES = {"bubus": 0.02}  # of the events: a thousand times slower than the others


def flat_out(path: str, name: str, count: int) -> Sample:
    """Publish ready events as fast as it goes, until the last is handled."""
    numbers, done = count_up(1), Event()

    def handle(_: RiskEvent) -> None:
        if next(numbers) == count:
            done.set()

    with CONTENDERS[name].open(path, handle) as publish:
        started = perf_counter_ns()
        for event in islice(cycle(ready_events()), count):
            publish(event)
        done.wait()
        seconds = (perf_counter_ns() - started) / 1e9
    return {"events a second": count / seconds, "recorded": count}


def steady(path: str, name: str, count: int) -> Sample:
    """Publish ready events at a steady rate; measure the call, and the time until the handler starts."""
    published, started = array("q"), array("q")

    def handle(_: RiskEvent) -> None:
        started.append(perf_counter_ns())

    with CONTENDERS[name].open(path, handle) as publish:

        def once(event: RiskEvent) -> None:
            published.append(perf_counter_ns())
            publish(event)

        calls = paced(once, ready_events(), count, give_way)
    recorded = calls.pop("recorded")
    delays = [start - publish for start, publish in zip(started, published, strict=True)]
    calls = {f"publish {key}": value for key, value in calls.items()}
    return calls | percentiles(delays[-count:], "start ") | {"recorded": recorded}


def measure(options: Options) -> Report:
    """Run everybody, as fast as it goes and at a steady rate."""
    present = [name for name, each in CONTENDERS.items() if installed(each.package)]
    rows: dict[str, list[Sample]] = {name: [{} for _ in range(options.repetitions)] for name in present}
    for function, full in ((flat_out, 30_000), (steady, 10_000)):
        contenders = {}
        for name in present:
            count = int(options.count(full, 500) * _SHARES.get(name, 1))
            run = partial(recorded, options.directory, function) if name in RISKBUS else partial(apart, function, "")
            contenders[name] = partial(run, name, count)
        for name, samples in interleave(contenders, options.repetitions).items():
            rows[name] = [one | other for one, other in zip(rows[name], samples, strict=True)]
    report = Report("one handler: events a second; microseconds at 20,000 a second", ("contender", *_COLUMNS))
    report.add_medians(rows, _COLUMNS)
    report.notes = [f"{name} is not installed: left out" for name in CONTENDERS if name not in present]
    report.figures = [
        Figure(f"{key}, {name} / direct call", ratio(rows[name], rows["direct guarded call"], key))
        for name in RISKBUS
        for key in ("events a second", "publish p50", "start p50")
    ]
    return report


if __name__ == "__main__":
    main(measure)
