"""What riskbus adds to the memory of a trading process, and what the writer's own process takes.

RSS counts every resident page, PSS shares a page among those who map it, USS counts what would be free if the process
ended. Source: proc_pid_smaps(5). The staging ring (16 MiB by default) is shared memory and counts in RSS and PSS.
"""

from functools import partial

from benchmarks.common import Figure, Options, Report, main
from benchmarks.footprint import stages
from benchmarks.load import WRITERS, recorded
from benchmarks.measuring import Sample, interleave, typical

_KEYS = ("rss", "pss", "uss")
_STAGES = {
    "bare": "Python alone",
    "imported": "riskbus imported",
    "running": "riskbus at work, {} writer",
    "writer": "the writer's process",
}


def measure(options: Options) -> Report:
    """Look at a process before and after riskbus came."""
    count = options.count(50_000, 2_000)
    contenders = {
        writer: partial(recorded, options.directory, stages, count, RISK_AUDIT_WRITER=writer) for writer in WRITERS
    }
    results = interleave(contenders, options.repetitions)
    report = Report(f"memory in MiB, at the end after {count:,} events", ("process", *_KEYS))
    for writer, samples in results.items():
        for stage, label in _STAGES.items():
            if f"{stage} rss" in samples[0] and (stage not in {"bare", "imported"} or writer == WRITERS[0]):
                cells = (typical(samples, f"{stage} {key}") for key in _KEYS)
                report.rows.append((label.format(writer), *cells))
        report.figures += [_added(samples, key, writer) for key in _KEYS]
    return report


def _added(samples: list[Sample], key: str, writer: str) -> Figure:
    grown = [{key: sample[f"running {key}"] - sample[f"bare {key}"]} for sample in samples]
    return Figure(f"{key} added to the trading process, {writer} writer", typical(grown, key), "MiB")


if __name__ == "__main__":
    main(measure)
