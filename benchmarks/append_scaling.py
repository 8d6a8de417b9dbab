"""What four threads that append cost each other."""

from benchmarks.common import Options, Report, main
from benchmarks.load import open_log, ready_events
from benchmarks.measuring import Sample
from benchmarks.scaling import bursts, compare


def ours(path: str, threads: int, burst: int, rounds: int) -> Sample:
    """Append ready events."""
    with open_log(path) as log:
        return bursts(log.append, ready_events(), threads, burst, rounds, log.flush)


def measure(options: Options) -> Report:
    """Compare one thread with four."""
    return compare(options, ours, "append")


if __name__ == "__main__":
    main(measure)
