"""What four threads that publish cost each other: fresh events, one inline subscriber, audit log on."""

from benchmarks.common import Options, Report, main
from benchmarks.load import NUMBERS, fresh_event, open_bus
from benchmarks.measuring import Sample
from benchmarks.publish_latency import handle
from benchmarks.scaling import bursts, compare
from riskbus import EventType


def ours(path: str, threads: int, burst: int, rounds: int) -> Sample:
    """Publish fresh events."""
    with open_bus(path) as bus:
        bus.subscribe(EventType.LIMIT_BREACH, handle, inline=True)
        return bursts(
            lambda number: bus.publish(fresh_event(number)), NUMBERS, threads, burst, rounds, bus.audit_log.flush
        )


def measure(options: Options) -> Report:
    """Compare one thread with four."""
    return compare(options, ours, "publish")


if __name__ == "__main__":
    main(measure)
