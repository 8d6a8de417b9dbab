"""What four threads that publish cost each other: fresh events, one inline subscriber, audit log on.

Bursts that fit into the staging ring, so that it is `publish` that is measured and not the disk.
"""

from functools import partial

from benchmarks.common import Figure, Options, Report, main
from benchmarks.load import NUMBERS, WRITERS, fresh_event, open_bus, recorded
from benchmarks.measuring import BURST, Sample, bursts, interleave, ratio
from benchmarks.publish_latency import handle
from riskbus import EventType

_PUBLISHERS = (1, 4)
_GOAL = 0.9  # of one publisher's events a second


def ours(path: str, publishers: int, rounds: int) -> Sample:
    """Publish fresh events from several threads."""
    with open_bus(path) as bus:
        bus.subscribe(EventType.LIMIT_BREACH, handle, inline=True)
        return bursts(lambda number: bus.publish(fresh_event(number)), NUMBERS, publishers, rounds, bus.audit_log.flush)


def measure(options: Options) -> Report:
    """Compare one publisher with four."""
    rounds = options.count(10, 1)
    contenders = {
        f"{publishers} publishers, {writer} writer": partial(
            recorded, options.directory, ours, publishers, rounds, RISK_AUDIT_WRITER=writer
        )
        for writer in WRITERS
        for publishers in _PUBLISHERS
    }
    results = interleave(contenders, options.repetitions)
    columns = ("contender", "published", "published and durable")
    report = Report(f"publish as fast as it goes, bursts of {BURST:,}, events a second", columns)
    report.add_medians(results, ("calls", "settled"))
    for writer in WRITERS:
        few, many = (results[f"{publishers} publishers, {writer} writer"] for publishers in _PUBLISHERS)
        scaling = ratio(many, few, "calls")
        report.figures.append(Figure(f"publish, 4 publishers / 1, {writer} writer", scaling, at_least=_GOAL))
    return report


if __name__ == "__main__":
    main(measure)
