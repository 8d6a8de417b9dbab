"""What four threads that append cost each other.

Bursts that fit into the staging ring, so that it is `append` that is measured and not the disk; between two bursts
everything becomes durable.
"""

from functools import partial

from benchmarks.common import Figure, Options, Report, main
from benchmarks.load import WRITERS, open_log, ready_events, recorded
from benchmarks.measuring import BURSTS, Sample, bursts, interleave, ratio

_PRODUCERS = (1, 4)
_GOAL = 0.9  # of one producer's events a second


def ours(path: str, producers: int, burst: int, rounds: int) -> Sample:
    """Append a ready event from several threads."""
    with open_log(path) as log:
        return bursts(log.append, ready_events(), producers, burst, rounds, log.flush)


def measure(options: Options) -> Report:
    """Compare one producer with four."""
    calls = options.count(120_000, 12_000)
    contenders = {
        _name(producers, burst, writer): partial(
            recorded,
            options.directory,
            ours,
            producers,
            burst,
            max(1, calls // burst),
            RISK_AUDIT_WRITER=writer,
            RISK_AUDIT_STAGING_SIZE=ring,
        )
        for writer in WRITERS
        for burst, ring in BURSTS.items()
        for producers in _PRODUCERS
    }
    results = interleave(contenders, options.repetitions)
    columns = ("contender", "appended", "appended and durable")
    report = Report("append as fast as it goes, events a second", columns)
    report.add_medians(results, ("calls", "settled"))
    for writer in WRITERS:
        for burst in BURSTS:
            few, many = (results[_name(producers, burst, writer)] for producers in _PRODUCERS)
            name = f"append, 4 producers / 1, bursts of {burst:,}, {writer} writer"
            report.figures.append(Figure(name, ratio(many, few, "calls"), at_least=_GOAL))
    return report


def _name(producers: int, burst: int, writer: str) -> str:
    return f"{producers} producers, bursts of {burst:,}, {writer} writer"


if __name__ == "__main__":
    main(measure)
