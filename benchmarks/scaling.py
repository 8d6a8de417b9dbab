"""What threads cost each other that do the same as fast as they can: four against one.

In bursts that fit into the staging ring, so that it is the call that is measured and not the disk; between two bursts
everything becomes durable.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle, islice
from threading import Barrier, Thread
from time import perf_counter_ns
from typing import Any

from benchmarks.common import Figure, Options, Report
from benchmarks.load import WRITERS, recorded
from benchmarks.measuring import Sample, interleave, ratio

_BURSTS = {12_000: "16Mi", 50_000: "64Mi"}
"""Calls of a burst, and the staging ring that holds so many. A burst in the default ring lasts four milliseconds, of
which beginning and ending are a part; the longer one shows what threads cost each other in the long run."""

_THREADS = (1, 4)
_CALLS = 120_000
_GOAL = 0.9  # of one thread's calls a second


def bursts(  # noqa: PLR0913, PLR0917 -- what is called, with what, and how often
    call: Callable[[Any], object],
    items: Sequence[object],
    threads: int,
    burst: int,
    rounds: int,
    settle: Callable[[], object],
) -> Sample:
    """Have several threads call as fast as they go, in bursts of so many calls in all.

    Returns:
        `calls`: calls a second while the bursts last; `settled`: calls a second with `settle`, which follows each.
    """
    line = Barrier(threads + 1)
    share = burst // threads

    def produce() -> None:
        for _ in range(rounds):
            line.wait()
            for item in islice(cycle(items), share):
                call(item)
            line.wait()

    crew = [Thread(target=produce) for _ in range(threads)]
    for thread in crew:
        thread.start()
    calling = settled = 0
    for _ in range(rounds):
        line.wait()
        started = perf_counter_ns()
        line.wait()
        calling += perf_counter_ns() - started
        settle()
        settled += perf_counter_ns() - started
    for thread in crew:
        thread.join()
    total = share * threads * rounds
    return {"calls": total / calling * 1e9, "settled": total / settled * 1e9, "recorded": total}


def compare(options: Options, contender: Callable[..., Sample], call: str) -> Report:
    """Run a contender with one thread and with four.

    Args:
        options: of the command line.
        contender: takes a directory, how many threads, calls of a burst, and bursts.
        call: what is called.
    """
    calls = options.count(_CALLS, 12_000)
    contenders = {
        _name(threads, burst, writer): partial(
            recorded,
            options.directory,
            contender,
            threads,
            burst,
            max(1, calls // burst),
            RISK_AUDIT_WRITER=writer,
            RISK_AUDIT_STAGING_SIZE=ring,
        )
        for writer in WRITERS
        for burst, ring in _BURSTS.items()
        for threads in _THREADS
    }
    results = interleave(contenders, options.repetitions)
    report = Report(f"{call} as fast as it goes, calls a second", ("contender", "while it lasts", "and durable"))
    report.add_medians(results, ("calls", "settled"))
    for writer in WRITERS:
        for burst in _BURSTS:
            few, many = (results[_name(threads, burst, writer)] for threads in _THREADS)
            name = f"{call}, 4 threads / 1, bursts of {burst:,}, {writer} writer"
            report.figures.append(Figure(name, ratio(many, few, "calls"), at_least=_GOAL))
    return report


def _name(threads: int, burst: int, writer: str) -> str:
    return f"{threads} thread{'s' if threads > 1 else ''}, bursts of {burst:,}, {writer} writer"
