"""What `append` costs the thread that calls it, at a steady 20,000 events a second.

The floor is `orjson.dumps` of the same nine fields in the same loop: less is not possible for anything that records an
event as JSON.
"""

from functools import partial
from pathlib import Path

import orjson

from benchmarks.common import Figure, Options, Report, main
from benchmarks.load import WRITERS, lines_in, open_log, ready_events, ready_fields, recorded
from benchmarks.measuring import Sample, apart, installed, interleave, paced, ratio
from benchmarks.peers import PEERS

FLOOR = "orjson.dumps alone"
STRUCTLOG = "structlog + orjson"
_GOAL = 2.2  # times the floor
_TAIL_GOAL = 0.25  # of structlog's
_KEYS = ("p50", "p99", "p99.9")


def floor(count: int) -> Sample:
    """Serialise and forget."""
    return paced(orjson.dumps, ready_fields(), count)


def ours(path: str, count: int) -> Sample:
    """Append a ready event."""
    with open_log(path) as log:
        return paced(log.append, ready_events(), count)


def peer(path: str, name: str, count: int) -> Sample:
    """Record the same fields otherwise."""
    recorder = PEERS[name].make(Path(path))
    sample = paced(recorder.record, ready_fields(), count)
    recorder.close()
    return sample


def measure(options: Options) -> Report:
    """Run everybody and compare."""
    count = options.count(20_000, 500)
    run = partial(recorded, options.directory)
    contenders = {FLOOR: partial(apart, floor, count)}
    contenders |= {f"riskbus, {each} writer": partial(run, ours, count, RISK_AUDIT_WRITER=each) for each in WRITERS}
    present = [name for name, each in PEERS.items() if installed(each.package)]
    contenders |= {name: partial(run, peer, name, count, count=lines_in) for name in present}
    results = interleave(contenders, options.repetitions)
    report = Report("append of a ready event, 20,000 a second, microseconds a call", ("contender", *_KEYS))
    report.add_medians(results, _KEYS)
    report.notes = [f"{name} is not installed: left out" for name in PEERS if name not in present]
    for each in WRITERS:
        mine = results[f"riskbus, {each} writer"]
        for key in _KEYS:
            against_floor = ratio(mine, results[FLOOR], key)
            report.figures.append(Figure(f"append {key} / floor, {each} writer", against_floor, at_most=_GOAL))
        if STRUCTLOG in results:
            tail = ratio(mine, results[STRUCTLOG], "p99.9")
            report.figures.append(Figure(f"append p99.9 / {STRUCTLOG}, {each} writer", tail, at_most=_TAIL_GOAL))
    return report


if __name__ == "__main__":
    main(measure)
