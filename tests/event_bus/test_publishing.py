"""What publish promises its caller: evidence first, a receipt at once, and never an exception of the log's."""

import asyncio
import signal
import threading
from collections.abc import Callable
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from riskbus import (
    AuditLog,
    EventPriority,
    EventType,
    InvalidEventError,
    Receipt,
    RiskEvent,
    RiskEventBus,
    SettingsError,
)
from riskbus.bus.subscription import EventTypes
from riskbus.testing import Inbox, read_events

Open = Callable[..., RiskEventBus]
Make = Callable[..., RiskEvent]
Until = Callable[[Callable[[], object]], bool]


def test_a_published_event_becomes_a_durable_line(bus: RiskEventBus, make: Make, path: Path) -> None:
    """The one promise everything else serves."""
    event = make(EventPriority.CRITICAL, EventType.KILL_SWITCH, max_staleness_ms=5000)
    receipt = bus.publish(event)
    assert receipt.wait_durable(10)
    (record,) = read_events(path)
    assert (record["seq"], record["event_id"], record["data"]) == (
        receipt.seq,
        event.event_id,
        {"max_staleness_ms": 5000},
    )


def test_the_record_is_staged_before_any_handler_runs(bus: RiskEventBus, make: Make) -> None:
    """A handler that kills the process must not be able to take the evidence with it."""
    staged: list[int] = []
    bus.subscribe(None, lambda _: staged.append(bus.audit_log.status().seq), inline=True)
    receipts = [bus.publish(make(number=number)) for number in range(5)]
    assert [receipt.seq for receipt in receipts] == staged


class CountingLog(AuditLog):
    """Counts how often it was asked to hurry."""

    hurried = 0

    def hurry(self) -> None:
        """Count."""
        self.hurried += 1
        super().hurry()


def test_every_critical_event_and_no_other_has_the_log_hurry(
    open_bus: Open, make: Make, path: Path, registry: CollectorRegistry
) -> None:
    """After its handlers, as to wake another thread takes longer than they may wait."""
    with CountingLog(path, registry=registry) as log:
        bus = open_bus(audit_log=log, audit_log_path=None)
        during: list[int] = []
        bus.subscribe(None, lambda _: during.append(log.hurried), inline=True)
        for number in range(8):
            bus.publish(make(EventPriority(number % 4)))
        assert during == [0, 1, 1, 1, 1, 2, 2, 2]
        assert log.hurried == 2


class LogWithAStage(AuditLog):
    """A log of a program's own class, in which the name of a function of the log means something else."""

    def stage(self, event: RiskEvent) -> Receipt:
        """Do something else."""
        raise NotImplementedError(event)


def test_a_log_of_a_programs_own_class_takes_what_is_published(
    open_bus: Open, make: Make, path: Path, registry: CollectorRegistry
) -> None:
    """Whatever that class calls its own: the log's functions are the instance's."""
    with LogWithAStage(path, registry=registry) as log:
        bus = open_bus(audit_log=log, audit_log_path=None)
        assert bus.publish(make()).wait_durable(10)


def test_a_subscription_without_its_handler_harms_nobody(bus: RiskEventBus, make: Make) -> None:
    """It counts as a handler that raised."""
    broken = bus.subscribe(None, lambda _: None, inline=True)
    inbox = Inbox()
    bus.subscribe(None, inbox, inline=True)
    del broken.handler
    bus.publish(make())
    assert len(inbox.events) == 1
    assert broken.statistics().failed == 1


def test_a_receipt_can_be_awaited(bus: RiskEventBus, make: Make) -> None:
    """An async strategy waits for durability without blocking its loop."""

    async def publish() -> bool:
        return await bus.publish(make())

    assert asyncio.run(publish()) is True


def test_a_volume_that_refuses_everything_never_reaches_the_publisher(
    open_bus: Open, make: Make, tmp_path: Path
) -> None:
    """Trading goes on without a volume: handlers get their events, and the receipt says that nothing is durable."""
    blocker = tmp_path / "blocker"
    blocker.write_text("a file where the directory should be")
    bus = open_bus(audit_log_path=blocker / "risk_audit.jsonl")
    inbox = Inbox()
    bus.subscribe(None, inbox)
    receipt = bus.publish(make(EventPriority.CRITICAL))
    assert inbox.wait_for(1)
    assert not receipt.wait_durable(0.05)
    assert bus.close(1).not_durable


def test_publish_writes_nothing_on_the_publishers_thread(bus: RiskEventBus, make: Make) -> None:
    """A hung volume hangs whoever writes to it, so the publisher never does: the kernel counts its writes."""
    bus.subscribe(None, lambda _: None, inline=True)
    assert bus.publish(make()).wait_durable(10)
    before = writes_of_this_thread()
    receipts = [bus.publish(make(priority, number=1)) for priority in EventPriority for _ in range(50)]
    assert writes_of_this_thread() == before
    assert receipts[-1].wait_durable(10)


def writes_of_this_thread() -> int:
    """Write system calls of the calling thread so far; see proc_pid_io(5)."""
    fields = dict(line.split(": ") for line in Path("/proc/thread-self/io").read_text().splitlines())
    return int(fields["syscw"])


def test_publish_from_a_signal_handler_in_the_middle_of_publish(bus: RiskEventBus, make: Make, path: Path) -> None:
    """Real programs pull the kill switch on a signal, which can come in the middle of anything, a publish included."""
    fired: list[int] = []

    def on_signal(number: int, _frame: object) -> None:
        fired.append(number)
        bus.publish(make(EventPriority.CRITICAL, EventType.KILL_SWITCH))

    bus.subscribe(None, Inbox())
    published = 0
    before = signal.signal(signal.SIGVTALRM, on_signal)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.0005, 0.0005)
    try:
        while len(fired) < 30:
            bus.publish(make(number=published))
            published += 1
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    assert not bus.close(10)
    records = read_events(path)
    assert [record["data"]["number"] for record in records if record["event_type"] == "LIMIT_BREACH"] == list(
        range(published)
    )
    assert sum(record["event_type"] == "KILL_SWITCH" for record in records) == len(fired)
    assert [record["seq"] for record in records] == sorted({record["seq"] for record in records})


def test_events_of_many_threads_all_arrive_in_each_threads_order(bus: RiskEventBus, make: Make, path: Path) -> None:
    """Several strategies share a bus; each one's own sequence of decisions must stay legible."""
    inbox = Inbox()
    bus.subscribe(None, inbox)

    def publish(publisher: int) -> None:
        for number in range(200):
            bus.publish(make(publisher=publisher, number=number))

    threads = [threading.Thread(target=publish, args=(publisher,)) for publisher in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not bus.close(10)
    for seen in ([event.data for event in inbox.events], [record["data"] for record in read_events(path)]):
        for publisher in range(4):
            assert [data["number"] for data in seen if data["publisher"] == publisher] == list(range(200))


class House(Enum):
    """A firm's own event types."""

    HEDGE_MISSED = "hedge missed"


@pytest.mark.parametrize("wanted", [House.HEDGE_MISSED, "HEDGE_MISSED", [EventType.THROTTLE, House.HEDGE_MISSED], None])
def test_a_type_can_be_a_string_or_a_member_of_ones_own_enum(bus: RiskEventBus, make: Make, wanted: EventTypes) -> None:
    """Every firm has kinds of its own, and names them in its own way."""
    inbox = Inbox()
    bus.subscribe(wanted, inbox)
    bus.publish(make(kind=House.HEDGE_MISSED))
    bus.publish(make(kind="HEDGE_MISSED"))
    assert inbox.wait_for(2)


class Codes(IntEnum):
    """Event types as a firm numbers them."""

    KILL = 1


class Alarms(IntEnum):
    """Others, numbered by somebody else."""

    HEDGE_MISSED = 1


class Reports(StrEnum):
    """Others, with a text."""

    HEDGE_REPORTED = "KILL"


class Messages(StrEnum):
    """Others, with the same text."""

    HEDGE_CLOSED = "KILL"


def test_members_of_two_enums_that_are_equal_are_two_types(bus: RiskEventBus, make: Make) -> None:
    """To Python `Codes.KILL == Alarms.HEDGE_MISSED`; a missed hedge must not be recorded as a kill switch."""
    wanted: list[RiskEvent] = []
    bus.subscribe("HEDGE_MISSED", wanted.append, inline=True)
    events = [make(kind=kind) for kind in (Codes.KILL, Alarms.HEDGE_MISSED, *Reports, *Messages, "KILL")]
    for event in events:
        bus.publish(event)
    names = [event.fields["event_type"] for event in events]
    assert names == ["KILL", "HEDGE_MISSED", "HEDGE_REPORTED", "HEDGE_CLOSED", "KILL"]
    assert wanted == [events[1]]


def test_a_handler_gets_only_the_types_it_asked_for(bus: RiskEventBus, make: Make) -> None:
    """A kill switch handler that runs on a heartbeat would stop trading for nothing."""
    wanted: list[RiskEvent] = []
    bus.subscribe([EventType.KILL_SWITCH, EventType.OVERRIDE], wanted.append, inline=True)
    for kind in (EventType.HEARTBEAT, EventType.OVERRIDE, EventType.THROTTLE, EventType.KILL_SWITCH):
        bus.publish(make(kind=kind))
    assert [event.event_type for event in wanted] == [EventType.OVERRIDE, EventType.KILL_SWITCH]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"event_type": []}, "event_type is an empty list"),
        ({"event_type": [["KILL_SWITCH"]]}, "KILL_SWITCH.* is not a name in UPPER_SNAKE"),
        ({"event_type": 7}, "7 is not a name in UPPER_SNAKE"),
        ({"event_type": "kill switch"}, "UPPER_SNAKE"),
        ({"event_type": "AUDIT_OPEN"}, "reserved"),
        ({"handler": "not a function"}, "cannot be called"),
        ({"capacity": 0}, "at least 1"),
        ({"capacity": float("nan")}, "capacity is nan; give the number of events"),
        ({"capacity": 1.5}, "capacity is 1.5; give the number of events"),
        ({"capacity_bytes": 0}, "capacity_bytes is 0; give a positive whole number of bytes"),
        ({"capacity_bytes": float("nan")}, "capacity_bytes is nan; give a positive whole number"),
        ({"capacity_bytes": 1e9}, "capacity_bytes is 1000000000.0; give a positive whole number"),
        ({"block_seconds": 0}, "block_seconds is 0; give a positive number of seconds"),
        ({"block_seconds": float("inf")}, "block_seconds is inf; .* at most 3155760000"),
        ({"block_seconds": float("nan")}, "block_seconds is nan"),
        ({"block_seconds": 1e300}, "block_seconds is 1e[+]300"),
        ({"block_seconds": "1"}, "block_seconds is '1'"),
        ({"name": 5}, "name is 5; give a text"),
        ({"name": "\ud800"}, r"name is '.ud800'; give a text .*UTF-8"),
    ],
)
def test_a_wrong_subscription_is_refused_with_what_to_do(
    bus: RiskEventBus, arguments: dict[str, Any], message: str
) -> None:
    """Found when the program starts, not when the first kill switch is lost."""
    with pytest.raises((SettingsError, InvalidEventError), match=message):
        bus.subscribe(**{"event_type": None, "handler": print} | arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_workers": 1}, "argument max_workers='1' is wrong: .* greater than or equal to 2"),
        ({"latency_slo_us": {EventPriority.CRITICAL: 0}}, "positive number"),
        ({"latency_slo_us": {"URGENT": 50}}, "EventPriority"),
    ],
)
def test_a_wrong_setting_of_the_bus_is_refused_with_what_to_do(
    open_bus: Open, arguments: dict[str, Any], message: str
) -> None:
    """No thread and no file is left behind by a bus that could not start."""
    with pytest.raises(SettingsError, match=message):
        open_bus(**arguments)


def test_a_log_of_the_callers_own_outlives_the_bus(
    open_bus: Open, make: Make, path: Path, registry: CollectorRegistry
) -> None:
    """Several buses can share one log; who made it closes it."""
    with AuditLog(path, registry=registry) as log:
        bus = open_bus(audit_log=log, audit_log_path=None)
        bus.publish(make(number=1))
        assert not bus.close(5)
        assert log.append(make(number=2)).wait_durable(10)
    assert [record["data"]["number"] for record in read_events(path)] == [1, 2]
