"""Closing is bounded and honest, from wherever it is called."""

import gc
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from riskbus import (
    AuditLog,
    ClosedError,
    EventPriority,
    EventType,
    RiskEvent,
    RiskEventBus,
    SettingsError,
    Unfinished,
)
from riskbus.testing import Inbox, read_events

Open = Callable[..., RiskEventBus]
Make = Callable[..., RiskEvent]
Until = Callable[[Callable[[], object]], bool]


def test_close_delivers_what_waits_and_makes_it_durable(bus: RiskEventBus, make: Make, path: Path) -> None:
    """A rolling update loses nothing."""
    inbox = Inbox()
    bus.subscribe(None, inbox)
    for number in range(500):
        bus.publish(make(number=number))
    assert bus.close(10) == Unfinished(undelivered=(), not_durable=())
    assert len(inbox.events) == len(read_events(path)) == 500


def test_leaving_the_context_closes(open_bus: Open, make: Make, path: Path) -> None:
    """The form in which most programs use it."""
    with open_bus() as bus:
        bus.publish(make())
    assert len(read_events(path)) == 1


def test_close_names_what_a_handler_that_hangs_did_not_get(bus: RiskEventBus, make: Make, path: Path) -> None:
    """The pod's grace period is short; what is left goes into somebody's log with its name. The evidence is safe."""
    stuck = Inbox(held=True)
    bus.subscribe(None, stuck, name="stuck")
    events = [make(number=number) for number in range(3)]
    for event in events:
        bus.publish(event)
    assert stuck.wait_for(1)
    assert bus.audit_log.flush(30)  # a slow disk is not what this is about
    unfinished = bus.close(0.2)
    stuck.release()
    assert unfinished.undelivered == tuple(("stuck", event) for event in events)
    assert unfinished.not_durable == ()
    assert len(read_events(path)) == 3


@pytest.mark.parametrize("timeout", [float("inf"), 1e300])
def test_close_takes_all_the_time_in_the_world(bus: RiskEventBus, make: Make, timeout: float) -> None:
    """Who has no limit says infinity; what no clock of the platform can count must not lose the end of the log."""
    inbox = Inbox()
    bus.subscribe(None, inbox)
    bus.publish(make())
    assert not bus.close(timeout)
    assert len(inbox.events) == 1


@pytest.mark.parametrize("timeout", [-1, -1e300, float("-inf")])
def test_close_without_any_time_left_says_what_is_unfinished(bus: RiskEventBus, make: Make, timeout: float) -> None:
    """What is left of a deadline may be less than nothing."""
    stuck = Inbox(held=True)
    bus.subscribe(None, stuck, name="stuck")
    event = make()
    bus.publish(event)
    assert stuck.wait_for(1)
    assert bus.close(timeout).undelivered == (("stuck", event),)
    stuck.release()


@pytest.mark.parametrize("timeout", [float("nan"), "5", None])
def test_close_with_what_is_no_number_is_refused_and_the_bus_goes_on(
    bus: RiskEventBus, make: Make, timeout: Any
) -> None:
    """Half closed would be the worst of both."""
    with pytest.raises(SettingsError, match=r"timeout is .*; give a number of seconds"):
        bus.close(timeout)
    assert bus.publish(make()).wait_durable(10)


def test_close_again_returns_the_same(bus: RiskEventBus, make: Make) -> None:
    """A signal handler and a context manager often close the same bus."""
    stuck = Inbox(held=True)
    bus.subscribe(None, stuck)
    bus.publish(make())
    assert stuck.wait_for(1)
    first = bus.close(0.1)
    assert bus.close(0.1) is first
    assert first
    stuck.release()


def test_publish_after_close_is_an_error_that_names_the_event(bus: RiskEventBus, make: Make) -> None:
    """The bug is seen where it is: for a kind of event that was published before, and for one that never was."""
    bus.publish(make())
    bus.close(5)
    for event in (make(number=7), make(kind=EventType.HEARTBEAT)):
        with pytest.raises(ClosedError, match=event.event_id):
            bus.publish(event)


PUBLISHES_TOO_LATE = """
import contextlib, sys
from riskbus import ClosedError, EventPriority, RiskEvent, RiskEventBus
bus = RiskEventBus(audit_log_path=sys.argv[1])
bus.close()
with contextlib.suppress(ClosedError):
    bus.publish(RiskEvent("LIMIT_BREACH", EventPriority.NORMAL, "tests", data={"number": 7}))
"""


def test_publish_after_close_is_on_standard_output(path: Path) -> None:
    """That is where the cluster's log collection finds a decision that came after the log had ended."""
    done = subprocess.run(
        [sys.executable, "-c", PUBLISHES_TOO_LATE, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("AUDIT_EMERGENCY")]
    assert "LIMIT_BREACH" in line


def test_publish_after_close_is_recorded_while_the_log_lives(
    open_bus: Open, make: Make, path: Path, registry: CollectorRegistry
) -> None:
    """A late decision is evidence too."""
    with AuditLog(path, registry=registry) as log:
        bus = open_bus(audit_log=log, audit_log_path=None)
        bus.close(5)
        with pytest.raises(ClosedError):
            bus.publish(make(number=1))
    assert [record["data"] for record in read_events(path)] == [{"number": 1}]


def test_subscribe_after_close_is_an_error(bus: RiskEventBus) -> None:
    """The handler would never be called."""
    bus.close(5)
    with pytest.raises(ClosedError):
        bus.subscribe(None, print)


@pytest.mark.parametrize("inline", [True, False])
def test_a_handler_may_close_the_bus(bus: RiskEventBus, make: Make, until: Until, *, inline: bool) -> None:
    """The kill switch may well end the program. It does not wait for itself."""
    results: list[Unfinished] = []
    bus.subscribe(None, lambda _: results.append(bus.close(60)), inline=inline)
    bus.publish(make(EventPriority.CRITICAL))
    assert until(lambda: results)
    assert not results[0]


def test_a_handler_that_closes_while_another_thread_does_is_not_waited_for(bus: RiskEventBus, make: Make) -> None:
    """Otherwise each would wait for the other, until the grace period is over."""
    closing = threading.Event()
    results: list[object] = []

    def close_too(event: RiskEvent) -> None:
        closing.wait(10)
        results.append((event, bus.close(60)))

    bus.subscribe(None, close_too)
    bus.publish(make())
    closer = threading.Thread(target=lambda: results.append(bus.close(60)))
    closer.start()
    while True:
        try:
            bus.publish(make())
        except ClosedError:
            break
    closing.set()
    closer.join(10)
    assert not closer.is_alive()


def test_a_signal_handler_that_closes_during_close_returns_at_once(open_bus: Open, make: Make) -> None:
    """Kubernetes' SIGTERM arrives when it likes, also while the program is already closing."""
    bus = open_bus()
    stuck = Inbox(held=True)
    bus.subscribe(None, stuck, name="stuck")
    event = make()
    bus.publish(event)
    assert stuck.wait_for(1)
    seen: list[Unfinished] = []

    def on_signal(_number: int, _frame: object) -> None:
        seen.append(bus.close(60))
        stuck.release()

    before = signal.signal(signal.SIGUSR1, on_signal)
    main = threading.get_ident()
    helper = threading.Thread(target=lambda: signal.pthread_kill(main, signal.SIGUSR1))
    try:
        bus.subscribe("HEARTBEAT", lambda _: helper.start())
        bus.publish(make(kind="HEARTBEAT"))
        bus.close(60)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(seen) == 1


ENDS_WITHOUT_CLOSING = """
import os
import sys
from riskbus import EventPriority, RiskEvent, RiskEventBus
bus = RiskEventBus(audit_log_path=sys.argv[1])
bus.subscribe(None, lambda event: os.write(1, b"handled %d\\n" % event.data["number"]))  # between the log's lines
for number in range(3):
    bus.publish(RiskEvent("LIMIT_BREACH", EventPriority.NORMAL, "tests", data={"number": number}))
"""


def test_a_program_that_just_ends_loses_nothing(path: Path) -> None:
    """Not every program closes what it opened. Its end does."""
    done = subprocess.run(
        [sys.executable, "-c", ENDS_WITHOUT_CLOSING, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert [line for line in done.stdout.splitlines() if line.startswith("handled")] == [
        "handled 0",
        "handled 1",
        "handled 2",
    ]
    assert len(read_events(path)) == 3
    assert "Traceback" not in done.stderr


FORKS = """
import os, sys
from riskbus import EventPriority, RiskEvent, RiskEventBus
from riskbus.testing import Inbox

def event(who):
    return RiskEvent("LIMIT_BREACH", EventPriority.NORMAL, "tests", data={"who": who})

bus = RiskEventBus(audit_log_path=sys.argv[1])
held = Inbox(held=True)
bus.subscribe(None, held)
bus.publish(event("parent before"))
held.wait_for(1)
bus.publish(event("parent waiting"))
child = os.fork()
held.release()
if child == 0:
    held.events.clear()
    bus.publish(event("child"))
    assert held.wait_for(1)
    unfinished = bus.close(10)
    ok = not unfinished and [each.data["who"] for each in held.events] == ["child"]
    os._exit(0 if ok else 1)
assert os.waitpid(child, 0)[1] == 0, "the child failed"
bus.publish(event("parent after"))
assert not bus.close(10)
assert [each.data["who"] for each in held.events] == ["parent before", "parent waiting", "parent after"]
"""


def test_a_fork_gives_the_child_a_bus_of_its_own(path: Path) -> None:
    """Prefork servers are common: nothing is delivered twice, recorded twice or lost, and nothing deadlocks."""
    subprocess.run([sys.executable, "-c", FORKS, str(path)], timeout=60, check=True)
    assert sorted(record["data"]["who"] for record in read_events(path)) == [
        "child",
        "parent after",
        "parent before",
        "parent waiting",
    ]


def test_a_child_that_never_publishes_starts_no_thread(path: Path) -> None:
    """A program that forks to run something else must not get threads and files for it."""
    program = FORKS.partition("if child == 0:")[0] + (
        "if child == 0:\n    os._exit(len(os.listdir('/proc/self/task')) - 1)\nassert os.waitpid(child, 0)[1] == 0\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], timeout=60, check=True)


def test_closing_leaves_no_thread_and_no_descriptor_behind(open_bus: Open, make: Make, until: Until) -> None:
    """A test suite or a server that opens a bus for each session must not collect threads."""
    before, descriptors = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    bus = open_bus()
    bus.subscribe(None, Inbox())
    bus.subscribe(None, lambda _: bus.close(10))
    bus.publish(make(EventPriority.CRITICAL))
    assert until(lambda: threading.active_count() <= before)
    gc.collect()  # the staging memory ends with the log's last reference
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors + 1  # the bus is still held here
