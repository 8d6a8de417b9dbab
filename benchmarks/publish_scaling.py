"""What four threads that publish cost each other: fresh events, one inline subscriber, audit log on.

Bursts that fit into the staging ring, so that it is `publish` that is measured and not the disk.
"""

from functools import partial

from benchmarks.common import Figure, Options, Report, main
from benchmarks.load import NUMBERS, WRITERS, fresh_event, open_bus, recorded
from benchmarks.measuring import BURSTS, Sample, bursts, interleave, ratio
from benchmarks.publish_latency import handle
from riskbus import EventType

_PUBLISHERS = (1, 4)
_GOAL = 0.9  # of one publisher's events a second


def ours(path: str, publishers: int, burst: int, rounds: int) -> Sample:
    """Publish fresh events from several threads."""
    with open_bus(path) as bus:
        bus.subscribe(EventType.LIMIT_BREACH, handle, inline=True)
        return bursts(
            lambda number: bus.publish(fresh_event(number)), NUMBERS, publishers, burst, rounds, bus.audit_log.flush
        )


def measure(options: Options) -> Report:
    """Compare one publisher with four."""
    calls = options.count(120_000, 12_000)
    contenders = {
        _name(publishers, burst, writer): partial(
            recorded,
            options.directory,
            ours,
            publishers,
            burst,
            max(1, calls // burst),
            RISK_AUDIT_WRITER=writer,
            RISK_AUDIT_STAGING_SIZE=ring,
        )
        for writer in WRITERS
        for burst, ring in BURSTS.items()
        for publishers in _PUBLISHERS
    }
    results = interleave(contenders, options.repetitions)
    columns = ("contender", "published", "published and durable")
    report = Report("publish as fast as it goes, events a second", columns)
    report.add_medians(results, ("calls", "settled"))
    for writer in WRITERS:
        for burst in BURSTS:
            few, many = (results[_name(publishers, burst, writer)] for publishers in _PUBLISHERS)
            name = f"publish, 4 publishers / 1, bursts of {burst:,}, {writer} writer"
            report.figures.append(Figure(name, ratio(many, few, "calls"), at_least=_GOAL))
    return report


def _name(publishers: int, burst: int, writer: str) -> str:
    return f"{publishers} publishers, bursts of {burst:,}, {writer} writer"


if __name__ == "__main__":
    main(measure)
