"""How long a CRITICAL event waits behind 50,000 LOW events whose handlers take 50 microseconds each.

From the call of `publish` to the start of the handler: inline, on the publisher's thread; on the bus' own CRITICAL
worker; and on the peers' threads. Between two CRITICAL events the publisher sleeps, or it is busy with Python code, and
then another thread runs only after the interpreter's switch interval (`sys.setswitchinterval`): the bus leaves that
setting to its user, and this shows what it does.

The backlog also has to drain in about the time that its handlers take.

The limit is no bus at all: the publisher calls the handler, and another thread works the backlog off in a plain loop.
"""

import sys
import time
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from threading import Event, Thread
from time import perf_counter_ns

from benchmarks.buses import CONTENDERS
from benchmarks.common import Figure, Options, Report, main
from benchmarks.load import SOURCE, WRITERS, open_bus, recorded
from benchmarks.measuring import RunError, Sample, apart, interleave, percentiles, typical
from riskbus import EventPriority, EventType, RiskEvent

_HANDLER_NS = 50_000
_PAUSE_NS = 1_000_000  # between two CRITICAL events
_SWITCH_INTERVALS_MS = (5, 0.5, 0.1)
_INLINE_GOALS_US = {("inline", "p50"): 10, ("inline", "worst"): 50}
_GOALS_US = _INLINE_GOALS_US | {("worker", "p50"): 500, ("worker", "worst"): 2000}  # at the shortest switch interval
_DRAIN_GOAL = 1.05  # times what the handlers take
_QUEUE, _FIFO = "PriorityQueue + 10 workers", "ThreadPoolExecutor"
_LIMIT = "a direct call"
_KEYS = ("p50", "p99", "worst")
_NEARLY_GONE = 0.9  # of the backlog
_CIRCUMSTANCES = {"algorithm": "jules-7", "desk": "intraday", "rule_triggered": "feed_staleness_limit"}
_STAGING_SIZE = "64Mi"  # 50,000 events at once are more than the default ring holds
_PATIENCE = "60"  # seconds; this backlog is meant to wait


class Backlog:
    """Handlers of LOW events that take 50 microseconds each, as long as it matters.

    Attributes:
        handled: how many were.
        done: set when all were.
        over: set when the rest may be quick.
    """

    def __init__(self, events: int) -> None:
        self.events = events
        self.handled = 0
        self.done = Event()
        self.over = False
        self._complete = Event()

    def complete(self) -> None:
        """Let the handlers begin: all of it waits now."""
        self._complete.set()

    def handle(self, _: RiskEvent) -> None:
        """Keep a thread busy."""
        self._complete.wait()
        if not self.over:
            _spin(_HANDLER_NS)
        self.handled += 1
        if self.handled == self.events:
            self.done.set()

    def kinds_behind(self, seconds: float) -> Iterator[EventType]:
        """Return what to publish behind the backlog, in turn, for so long, or until it is nearly gone."""
        end = perf_counter_ns() + seconds * 1e9
        while perf_counter_ns() < end and self.handled < self.events * _NEARLY_GONE:
            yield EventType.KILL_SWITCH
            yield EventType.LIMIT_BREACH

    def end(self) -> None:
        """Let the rest be quick.

        Raises:
            RunError: there is no rest, so nothing was measured behind a backlog.
        """
        if self.handled >= self.events:
            raise RunError("the backlog was gone before the last CRITICAL event; make it longer")
        self.over = True


def ours(path: str, publisher: str, interval_ms: float, low: int, seconds: float) -> Sample:
    """Publish CRITICAL events behind a backlog, for an inline handler and for a worker in turn."""
    sys.setswitchinterval(interval_ms / 1000)
    backlog = Backlog(low)
    starts: dict[str, array[int]] = {"inline": array("q"), "worker": array("q")}
    with open_bus(path) as bus:
        bus.subscribe(EventType.THROTTLE, backlog.handle, capacity=low)
        bus.subscribe(EventType.KILL_SWITCH, partial(_note, starts["inline"]), inline=True)
        bus.subscribe(EventType.LIMIT_BREACH, partial(_note, starts["worker"]))
        for _ in range(low):
            bus.publish(_low_event())
        backlog.complete()
        for kind in backlog.kinds_behind(seconds):
            bus.publish(_critical_event(kind))
            _PAUSES[publisher]()
        backlog.end()
    inline, worker = (percentiles(found, f"{place} ") for place, found in starts.items())
    return inline | worker | {"recorded": low + sum(map(len, starts.values()))}


def peer(name: str, publisher: str, low: int, seconds: float) -> Sample:
    """Publish CRITICAL events behind a backlog on a peer."""
    backlog = Backlog(low)
    starts = array("q")

    def handle(event: RiskEvent) -> None:
        if event.priority is EventPriority.CRITICAL:
            _note(starts, event)
        else:
            backlog.handle(event)

    with CONTENDERS[name].open("", handle) as publish:
        for _ in range(low):
            publish(_low_event())
        backlog.complete()
        for kind in backlog.kinds_behind(seconds):
            publish(_critical_event(kind))
            _PAUSES[publisher]()
        if name != _FIFO:  # there, the CRITICAL events have to wait for the backlog
            backlog.end()
    return percentiles(starts, "worker ")


def direct(publisher: str, interval_ms: float, low: int, seconds: float) -> Sample:
    """Call the handler of CRITICAL events, while another thread works a backlog off."""
    sys.setswitchinterval(interval_ms / 1000)
    backlog = Backlog(low)
    starts = array("q")
    thread = _work_off(backlog)
    backlog.complete()
    for kind in backlog.kinds_behind(seconds):
        _note(starts, _critical_event(kind))
        _PAUSES[publisher]()
    backlog.end()
    thread.join()
    return percentiles(starts, "inline ")


def drain_directly(low: int) -> Sample:
    """Return how long a plain loop takes, as a multiple of what its handlers take."""
    backlog = Backlog(low)
    thread = _work_off(backlog)
    drained = _drained(backlog)
    thread.join()
    return {"drain": drained}


def drain(path: str, low: int) -> Sample:
    """Return how long a backlog takes to drain when nobody disturbs, as a multiple of what its handlers take."""
    backlog = Backlog(low)
    with open_bus(path) as bus:
        bus.subscribe(EventType.THROTTLE, backlog.handle, capacity=low)
        for _ in range(low):
            bus.publish(_low_event())
        return {"drain": _drained(backlog), "recorded": low}


def _work_off(backlog: Backlog) -> Thread:
    """Return a thread that handles a backlog, as soon as all of it waits."""
    events = [_low_event() for _ in range(backlog.events)]

    def work() -> None:
        for event in events:
            backlog.handle(event)

    thread = Thread(target=work)
    thread.start()
    return thread


def _drained(backlog: Backlog) -> float:
    started = perf_counter_ns()
    backlog.complete()
    backlog.done.wait()
    return (perf_counter_ns() - started) / (backlog.events * _HANDLER_NS)


def _low_event() -> RiskEvent:
    return RiskEvent(EventType.THROTTLE, EventPriority.LOW, SOURCE)


def _critical_event(event_type: EventType) -> RiskEvent:
    data = {"published_ns": perf_counter_ns()}
    return RiskEvent(event_type, EventPriority.CRITICAL, SOURCE, data, _CIRCUMSTANCES)


def _note(delays: "array[int]", event: RiskEvent) -> None:
    delays.append(perf_counter_ns() - event.data["published_ns"])


def _spin(nanoseconds: int) -> None:
    end = perf_counter_ns() + nanoseconds
    while perf_counter_ns() < end:
        pass


_PAUSES: dict[str, Callable[[], object]] = {
    "sleeping": partial(time.sleep, _PAUSE_NS / 1e9),
    "busy": partial(_spin, _PAUSE_NS),
}


def measure(options: Options) -> Report:
    """Run the bus at several switch intervals, and the peers."""
    low, seconds = (4_000, 0.05) if options.quick else (50_000, 1.0)
    run = partial(
        recorded,
        options.directory,
        RISK_AUDIT_STAGING_SIZE=_STAGING_SIZE,
        RISKBUS_SLOW_SUBSCRIBER_SECONDS=_PATIENCE,
    )
    contenders: dict[str, Callable[[], Sample]] = {}
    for writer in WRITERS:
        for publisher in _PAUSES:
            for interval in _intervals(options):
                name = _name(_ours(writer), publisher, interval)
                contenders[name] = partial(run, ours, publisher, interval, low, seconds, RISK_AUDIT_WRITER=writer)
        contenders[f"drain, {_ours(writer)}"] = partial(run, drain, low, RISK_AUDIT_WRITER=writer)
    for publisher in _PAUSES:
        for interval in _intervals(options):
            contenders[_name(_LIMIT, publisher, interval)] = partial(apart, direct, publisher, interval, low, seconds)
    contenders[f"drain, {_LIMIT}"] = partial(apart, drain_directly, low)
    contenders |= {f"{_QUEUE}, {each} publisher": partial(apart, peer, _QUEUE, each, low, seconds) for each in _PAUSES}
    contenders[_FIFO] = partial(apart, peer, _FIFO, "sleeping", low, seconds)
    results = interleave(contenders, options.repetitions)
    columns = ("contender", *(f"{place} {key}" for place in ("inline", "worker") for key in _KEYS))
    report = Report(f"CRITICAL behind {low:,} LOW: microseconds from publish to handler", columns)
    report.add_medians({name: samples for name, samples in results.items() if "drain" not in name}, columns[1:])
    for writer in WRITERS:
        report.figures += _figures(results, writer, _intervals(options))
    limit = typical(results[f"drain, {_LIMIT}"], "drain")
    report.figures.append(Figure("a plain loop drains / what its handlers take", limit))
    return report


def _intervals(options: Options) -> tuple[float, ...]:
    return _SWITCH_INTERVALS_MS[-1:] if options.quick else _SWITCH_INTERVALS_MS


def _figures(results: dict[str, list[Sample]], writer: str, intervals: tuple[float, ...]) -> list[Figure]:
    found = []
    for publisher in _PAUSES:
        for interval in intervals:
            samples = results[_name(_ours(writer), publisher, interval)]
            goals = _GOALS_US if interval == _SWITCH_INTERVALS_MS[-1] else _INLINE_GOALS_US
            found += [
                Figure(
                    f"{place} {key}, {publisher} publisher, {interval:g} ms, {writer} writer",
                    typical(samples, f"{place} {key}"),
                    "us",
                    at_most=goal,
                )
                for (place, key), goal in goals.items()
            ]
    drained = typical(results[f"drain, {_ours(writer)}"], "drain")
    return [*found, Figure(f"backlog drains / what its handlers take, {writer} writer", drained, at_most=_DRAIN_GOAL)]


def _ours(writer: str) -> str:
    return f"riskbus, {writer} writer"


def _name(contender: str, publisher: str, interval: float) -> str:
    return f"{contender}, {publisher} publisher, {interval:g} ms"


if __name__ == "__main__":
    main(measure)
