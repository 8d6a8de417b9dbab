"""What a handler does to an event, to its process or to the logging around it harms nobody else."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from riskbus import EventPriority, EventType, RiskEvent, RiskEventBus
from riskbus.testing import Inbox, read_events

Make = Callable[..., RiskEvent]
CRITICAL, HIGH, NORMAL, LOW = EventPriority


class TextExitsError(Exception):
    """An error whose text ends the thread that asks for it."""

    def __str__(self) -> str:
        return str(sys.exit("nobody gets to read this"))


def change_type(event: RiskEvent) -> None:
    """Make an event one that the log refuses."""
    event.event_type = "changed"


def delete_parts(event: RiskEvent) -> None:
    """Leave of an event what looks like none."""
    del event.event_id, event.priority, event.event_type


def raise_what_exits(_: RiskEvent) -> None:
    """Raise."""
    raise TextExitsError


def fail(_: RiskEvent) -> None:
    """Raise."""
    raise LookupError


def change_and_fail(event: RiskEvent) -> None:
    """Both."""
    delete_parts(event)
    fail(event)


EACH_SPOILER = pytest.mark.parametrize("spoil", [fail, change_type, delete_parts, change_and_fail, raise_what_exits])
EACH_LANE = pytest.mark.parametrize("priority", [CRITICAL, LOW])


@pytest.mark.usefixtures("broken_log_sinks")
@EACH_SPOILER
@EACH_LANE
def test_no_worker_dies(
    bus: RiskEventBus, make: Make, spoil: Callable[[RiskEvent], None], priority: EventPriority
) -> None:
    """A worker that had died of somebody's mistake would be missing when the kill switch comes."""
    inbox = Inbox()
    bus.subscribe(EventType.THROTTLE, spoil)
    bus.subscribe(EventType.KILL_SWITCH, inbox)
    for _ in range(12):
        bus.publish(make(priority, EventType.THROTTLE))
    bus.publish(make(CRITICAL, EventType.KILL_SWITCH))
    bus.publish(make(LOW, EventType.KILL_SWITCH))
    assert inbox.wait_for(2)
    assert not bus.close(10)


@pytest.mark.usefixtures("broken_log_sinks")
@EACH_SPOILER
@EACH_LANE
def test_neither_the_publisher_nor_the_next_inline_handler_notices(
    bus: RiskEventBus, make: Make, spoil: Callable[[RiskEvent], None], priority: EventPriority
) -> None:
    """What comes after a mistake may be what stops trading."""
    inbox = Inbox()
    bus.subscribe(EventType.KILL_SWITCH, spoil, inline=True)
    bus.subscribe(EventType.KILL_SWITCH, inbox, inline=True)
    assert bus.publish(make(priority, EventType.KILL_SWITCH)).wait_durable(10)
    assert len(inbox.events) == 1


@pytest.mark.usefixtures("broken_log_sinks")
def test_a_drop_is_counted_though_nobody_can_be_told(bus: RiskEventBus, make: Make) -> None:
    """A publisher learns of it from the metrics, not from an exception."""
    held = Inbox(held=True)
    subscription = bus.subscribe(None, held, capacity=1)
    bus.publish(make(HIGH))
    assert held.wait_for(1)
    for _ in range(3):
        bus.publish(make(HIGH))
    assert subscription.statistics().dropped == 2
    held.release()


def test_a_worker_outlives_its_spoilt_mailbox(bus: RiskEventBus, make: Make) -> None:
    """Nobody should do that; whoever does loses that queue and no thread."""
    inbox = Inbox()

    def spoil(_: RiskEvent) -> None:
        del subscription.mailboxes[LOW].priority

    subscription = bus.subscribe(EventType.THROTTLE, spoil)
    bus.subscribe(EventType.KILL_SWITCH, inbox)
    for _ in range(2):
        bus.publish(make(LOW, EventType.THROTTLE))
    bus.publish(make(LOW, EventType.KILL_SWITCH))
    assert inbox.wait_for(1)


CHANGES_ITS_TYPE = """
import sys
from riskbus import EventPriority, EventType, RiskEvent, RiskEventBus

def change(event):
    event.event_type = EventType.HEARTBEAT
    for kind in EventType:
        if kind != "KILL_SWITCH":
            bus.publish(RiskEvent(kind, EventPriority.LOW, "tests"))

with RiskEventBus(audit_log_path=sys.argv[1]) as bus:
    bus.subscribe(EventType.KILL_SWITCH, change, inline=True)
    for _ in range(50):
        bus.publish(RiskEvent(str.__new__(EventType, "KILL_SWITCH"), EventPriority.CRITICAL, "tests"))
"""


def test_a_type_that_only_the_event_held_may_go_while_it_is_published(path: Path) -> None:
    """The compiled form looks at it after the handlers, when its memory may be another object's."""
    command = [sys.executable, "-X", "dev", "-c", CHANGES_ITS_TYPE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


# Python 3.12 and later warn of every fork beside threads, which is what these tests are about.
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_the_child_of_a_fork_publishes_to_its_own_bus_also_by_a_method_kept_before(
    bus: RiskEventBus, make: Make
) -> None:
    """Who keeps `bus.publish` to save a look-up still reaches the handlers, and learns that the bus is closed."""
    bus.subscribe(EventType.KILL_SWITCH, lambda _: None)
    publish, inbox = bus.publish, Inbox()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            bus.subscribe(EventType.KILL_SWITCH, inbox, inline=True)
            publish(make(CRITICAL, EventType.KILL_SWITCH))
            status = 0 if len(inbox.events) == bus.statistics().published[CRITICAL] == 1 else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@EACH_LANE
def test_a_child_that_comes_back_from_a_queued_handler_ends_and_has_nothing_of_what_waited(
    bus: RiskEventBus, make: Make, tmp_path: Path, priority: EventPriority
) -> None:
    """Its worker was forked in the middle of the parent's queue, and is the only thread that it has of the program."""
    handled, children = tmp_path / "handled", Inbox()
    published = Inbox(held=True)

    def handle(event: RiskEvent) -> None:
        published(event)
        with handled.open("a") as file:
            file.write(f"{event.data['number']}\n")
        if event.data["number"] == 0 and (child := os.fork()):
            assert os.waitpid(child, 0)[1] == 0
            children(event)

    bus.subscribe("LIMIT_BREACH", handle)
    for number in range(4):
        bus.publish(make(priority, number=number))
    published.release()
    assert children.wait_for(1, timeout=60)
    assert not bus.close(30)
    assert handled.read_text().split() == ["0", "1", "2", "3"]
    assert len(list(read_events(bus.audit_log.settings.path))) == 4
