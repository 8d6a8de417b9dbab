"""What four threads that append cost each other.

Bursts that fit into the staging ring, so that it is `append` that is measured and not the disk; between two bursts
everything becomes durable.
"""

from functools import partial

from benchmarks.common import Figure, Options, Report, main
from benchmarks.load import WRITERS, open_log, ready_events, recorded
from benchmarks.measuring import BURST, Sample, bursts, interleave, ratio

_PRODUCERS = (1, 4)
_GOAL = 0.9  # of one producer's events a second


def ours(path: str, producers: int, rounds: int) -> Sample:
    """Append a ready event from several threads."""
    with open_log(path) as log:
        return bursts(log.append, ready_events(), producers, rounds, log.flush)


def measure(options: Options) -> Report:
    """Compare one producer with four."""
    rounds = options.count(10, 1)
    contenders = {
        f"{producers} producers, {writer} writer": partial(
            recorded, options.directory, ours, producers, rounds, RISK_AUDIT_WRITER=writer
        )
        for writer in WRITERS
        for producers in _PRODUCERS
    }
    results = interleave(contenders, options.repetitions)
    columns = ("contender", "appended", "appended and durable")
    report = Report(f"append as fast as it goes, bursts of {BURST:,}, events a second", columns)
    report.add_medians(results, ("calls", "settled"))
    for writer in WRITERS:
        few, many = (results[f"{producers} producers, {writer} writer"] for producers in _PRODUCERS)
        scaling = ratio(many, few, "calls")
        report.figures.append(Figure(f"append, 4 producers / 1, {writer} writer", scaling, at_least=_GOAL))
    return report


if __name__ == "__main__":
    main(measure)
