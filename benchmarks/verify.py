"""How fast a log is verified, against SHA-256 of each of its lines and nothing else.

The log is written once, by the real writer. Then the floor (read line by line, `hashlib.sha256(line).digest()`) and
`riskbus verify` with one process and with two take turns, bound to so many cores.
"""

import os
from functools import partial
from hashlib import sha256
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns

from benchmarks.common import Figure, Options, Report, main
from benchmarks.load import Backpressure, open_log, ready_events
from benchmarks.measuring import RunError, Sample, apart, interleave, ratio, typical
from riskbus.store.stream import list_segments
from riskbus.store.verification import verify_tree

FLOOR = "hashlib.sha256 of each line, one core"


def write(directory: str, count: int) -> Sample:
    """Write the log; return how many bytes it has."""
    ready = ready_events()
    with open_log(f"{directory}/risk_audit.jsonl") as log:
        keep_up = Backpressure()
        for item in islice(cycle(ready), count):
            keep_up(log.append(item))
    return {"bytes": sum(path.stat().st_size for path in _segments(directory))}


def floor(directory: str) -> Sample:
    """Hash every line."""
    os.sched_setaffinity(0, _cores(1))
    size, started = 0, perf_counter_ns()
    for path in _segments(directory):
        with path.open("rb") as file:
            for line in file:
                sha256(line).digest()
                size += len(line)
    return {"megabytes": size / (perf_counter_ns() - started) * 1e3}


def ours(directory: str, jobs: int) -> Sample:
    """Verify everything."""
    os.sched_setaffinity(0, _cores(jobs))
    started = perf_counter_ns()
    report = verify_tree(Path(directory), [], lambda _: None, jobs=jobs)
    seconds = (perf_counter_ns() - started) / 1e9
    if report.worst is not None:
        raise RunError(f"the log is not as it was written: {report.findings[:3]}")
    return {"megabytes": sum(stream.size for stream in report.streams) / 1e6 / seconds}


def measure(options: Options) -> Report:
    """Compare verification with the hashes alone."""
    cores = min(2, len(os.sched_getaffinity(0)))
    with TemporaryDirectory(dir=options.directory) as directory:
        size = apart(write, directory, options.count(500_000, 5_000), env={"RISK_AUDIT_ROTATION_COMPRESS": "false"})
        contenders = {FLOOR: partial(apart, floor, directory)}
        contenders |= {_name(jobs): partial(apart, ours, directory, jobs) for jobs in (1, cores)}
        results = interleave(contenders, options.repetitions)
    report = Report(f"A log of {size['bytes'] / 1e6:,.0f} MB, megabytes a second", ("contender", "MB a second"))
    report.add_medians(results, ("megabytes",))
    for jobs in sorted({1, cores}):
        share = ratio(results[_name(jobs)], results[FLOOR], "megabytes")
        report.figures.append(Figure(f"verify / floor, {_name(jobs)}", share, at_least=0.5))
    report.notes.append("A record costs two hashes, its own and that of a node of the tree, and the floor one.")
    speed = typical(results[_name(cores)], "megabytes")
    report.figures.append(Figure("verify, megabytes a second", speed, "MB/s", at_least=100))
    return report


def _name(jobs: int) -> str:
    return f"riskbus verify, {jobs} core{'s' * (jobs > 1)}"


def _cores(count: int) -> set[int]:
    return set(sorted(os.sched_getaffinity(0))[:count])


def _segments(directory: str) -> list[Path]:
    return [Path(directory, str(name)) for name in list_segments(Path(directory))]


if __name__ == "__main__":
    main(measure)
