"""The events that all benchmarks use, and the logs that they go to.

One event is about 350 bytes as JSON, of the nine fields of a record.
"""

import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time_ns
from typing import Any

from benchmarks.common import STAGING
from benchmarks.measuring import RATE, RunError, Sample, apart
from riskbus import AuditLog, EventPriority, EventType, Receipt, RiskEvent, RiskEventBus
from riskbus.testing import read_events

SOURCE = "FeedStalenessCalculator"
WRITERS = ("thread", "process")  # the kinds of RISK_AUDIT_WRITER
NUMBERS = range(64)  # different events that a benchmark uses in turn

_WINDOW = 8192  # accepted events that may wait to become durable; half of the default ring
_STEP = 512  # events between two looks at how far the log is


def fresh_event(number: int, timestamp_ns: int | None = None) -> RiskEvent:
    """Make an event now, as a risk check would."""
    return RiskEvent(
        EventType.LIMIT_BREACH,
        EventPriority.NORMAL,
        SOURCE,
        {"max_staleness_ms": 5000, "staleness_ms": 7312.5, "symbol": "FDAX", "position": number, "limit": 10},
        {"rule_triggered": "feed_staleness_limit", "desk": "intraday", "algo": "jules-7"},
        timestamp_ns=timestamp_ns,
    )


def ready_events() -> list[RiskEvent]:
    """Return events that were made before, at times as far apart as they are when 20,000 a second are made."""
    now = time_ns()
    return [fresh_event(number, now + number * 1_000_000_000 // RATE) for number in NUMBERS]


def ready_fields() -> list[dict[str, Any]]:
    """Return the nine fields of the same events, as they are serialised."""
    return [{"seq": 123_456} | event.fields for event in ready_events()]


def events_in(path: Path) -> int:
    """Return how many of a benchmark's events a log of one incarnation holds.

    A segment may repeat what an abandoned one held last, and the bus adds events of its own.
    """
    return len({record["seq"] for record in read_events(path) if record["source"] == SOURCE})


def lines_in(path: Path) -> int:
    """Return how many lines a peer's file holds."""
    with path.open("rb") as file:
        return sum(1 for _ in file)


def recorded(
    directory: Path,
    function: Callable[..., Sample],
    *arguments: object,
    count: Callable[[Path], int] = events_in,
    **environment: str,
) -> Sample:
    """Run a function apart, with the path of a log in a fresh directory as first argument; look what is in the log.

    The function returns, among its figures, `recorded`: how many events it gave to the log. All must be there.

    Raises:
        RunError: it failed, or the log does not hold exactly so many events.
    """
    with (
        tempfile.TemporaryDirectory(dir=directory, ignore_cleanup_errors=True) as place,  # a broken volume refuses
        tempfile.TemporaryDirectory(dir=STAGING) as staging,
    ):
        path = Path(place) / "risk_audit.jsonl"
        sample = apart(function, str(path), *arguments, env={"RISK_AUDIT_STAGING_DIR": staging} | environment)
        found, expected = count(path), int(sample.pop("recorded"))
    if found != expected:
        raise RunError(f"{function.__name__}{arguments} recorded {expected} events, and {found} are in the file")
    return sample


@contextmanager
def open_log(path: str) -> Iterator[AuditLog]:
    """Open a log on a volume that has answered; at the end everything is durable and nothing was refused.

    Raises:
        RunError: the log lost, refused or did not finish something.
    """
    log = AuditLog(path)
    if not log.wait_ready(30):
        raise RunError(f"the volume of {path} does not answer")
    yield log
    left = len(log.close(60))
    lost = log.status().lost_events
    if left or lost:
        raise RunError(f"the log refused {lost} events, and {left} are not durable")


@contextmanager
def open_bus(path: str) -> Iterator[RiskEventBus]:
    """Open a bus with a log of its own; at the end everything is delivered and durable, and nothing was dropped.

    Raises:
        RunError: the log or the bus lost, refused or did not finish something.
    """
    with open_log(path) as log, RiskEventBus(audit_log=log) as bus:
        yield bus
        left = len(bus.close(60).undelivered)
        subscriptions = bus.statistics().subscriptions
        bad = sum(each.dropped + each.failed for each in subscriptions)
        if left or bad:
            raise RunError(f"{left} events were not delivered, and {bad} were dropped or their handlers failed")


class Backpressure:
    """Keeps a producer from running away from the log: at most so many events wait to become durable.

    A trading system that publishes for long above what its disk takes would do the same, or lose events.
    """

    def __init__(self) -> None:
        self._waiting: deque[Receipt] = deque()
        self._calls = 0

    def __call__(self, receipt: Receipt) -> None:
        """Take a receipt; wait if too many events before it are not durable."""
        self._calls += 1
        if self._calls % _STEP == 0:
            self._waiting.append(receipt)
            if len(self._waiting) > _WINDOW // _STEP:
                self._waiting.popleft().wait_durable()
