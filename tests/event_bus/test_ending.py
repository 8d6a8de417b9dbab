"""However a process ends, what was published is in the log, and nothing hangs."""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from riskbus import RiskEventBus, SettingsError
from riskbus.testing import read_events, read_records

PROLOGUE = """
import os, signal, sys, threading
from riskbus import ClosedError, EventPriority, RiskEvent, RiskEventBus
from riskbus.testing import Inbox

def event(number):
    return RiskEvent("LIMIT_BREACH", EventPriority.NORMAL, "tests", data={"number": number})

bus = RiskEventBus(audit_log_path=sys.argv[1])
"""


def run(path: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program that begins as above, to its end."""
    command = [sys.executable, "-X", "faulthandler", "-c", PROLOGUE + program, str(path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def numbers(path: Path) -> list[int]:
    """Return the numbers of the recorded events."""
    return [record["data"]["number"] for record in read_events(path)]


def last_record(path: Path) -> dict[str, Any]:
    """Return what the log ends with, but for the checkpoint over everything."""
    return next(record for record in reversed(read_records(path)) if record["event_type"] != "AUDIT_CHECKPOINT")


WAITS = """
bus.subscribe(None, lambda event: print("handled", event.data["number"], flush=True))
for number in range(100):
    bus.publish(event(number))
os.kill(os.getpid(), signal.SIGTERM)
while True:
    signal.pause()
"""


def test_sigterm_drains_and_then_ends_the_process_as_it_would_have(path: Path) -> None:
    """A rolling update: Kubernetes sees the usual end by SIGTERM, and the auditor sees everything."""
    done = run(path, "bus.close_on_sigterm(grace=20)" + WAITS)
    assert done.returncode == -signal.SIGTERM
    assert done.stdout.count("handled") == 100
    assert numbers(path) == list(range(100))
    assert last_record(path)["event_type"] == "AUDIT_CLOSE"


def test_the_handler_that_was_there_runs_first_and_may_publish(path: Path) -> None:
    """The program's own way to shut down cancels orders, and that is evidence too."""
    program = """
def shut_down(number, frame):
    bus.publish(event(1_000))
    sys.exit(7)

signal.signal(signal.SIGTERM, shut_down)
bus.close_on_sigterm(grace=20)
"""
    done = run(path, program + WAITS)
    assert done.returncode == 7
    assert numbers(path) == [*range(100), 1_000]
    assert done.stdout.count("handled") == 101


SEVERAL = """
buses = [bus, RiskEventBus(audit_log=bus.audit_log)]
for number, each in enumerate(buses):
    each.subscribe(None, lambda event: print("handled", event.data["number"], flush=True))
order = buses if sys.argv[2] == "forward" else buses[::-1]
for each in order:
    each.close_on_sigterm(grace=20)
for each in buses:
    for number in range(100):
        each.publish(event(number))
os.kill(os.getpid(), signal.SIGTERM)
while True:
    signal.pause()
"""


@pytest.mark.parametrize("order", ["forward", "backward"])
def test_several_buses_are_closed_before_the_process_ends(path: Path, order: str) -> None:
    """Each of them calls the handler that was there before it, and none of them ends the process for the others."""
    done = run(path, SEVERAL, order)
    assert done.returncode == -signal.SIGTERM, done.stderr
    assert done.stdout.count("handled") == 200


ON_A_LOOP = """
import asyncio

async def handle(event):
    await asyncio.sleep(0.01)
    print("handled", event.data["number"], flush=True)

async def main():
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    async def close():
        print("left", len((await asyncio.to_thread(bus.close, 20)).undelivered))
        ended.set()

    loop.add_signal_handler(signal.SIGTERM, lambda: tasks.append(loop.create_task(close())))
    tasks = []
    bus.subscribe(None, handle)
    for number in range(20):
        bus.publish(event(number))
    os.kill(os.getpid(), signal.SIGTERM)
    await ended.wait()

asyncio.run(main())
"""


def test_a_loop_goes_on_while_its_bus_is_closed_in_a_thread(path: Path) -> None:
    """As docs/bus.md has it for asyncio: a close on the loop itself would keep its handlers from ending."""
    done = run(path, ON_A_LOOP)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("handled") == 20
    assert "left 0" in done.stdout


def test_sigterm_that_is_ignored_closes_the_bus_and_goes_on(path: Path) -> None:
    """Who ignores SIGTERM has a reason, and is killed when the grace period is over."""
    program = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
bus.close_on_sigterm(grace=20)
bus.publish(event(0))
os.kill(os.getpid(), signal.SIGTERM)
print("alive")
"""
    done = run(path, program)
    assert (done.returncode, "alive" in done.stdout) == (0, True)
    assert numbers(path) == [0]


def test_a_handler_that_hangs_does_not_outlast_the_grace_period(path: Path) -> None:
    """After it, Kubernetes kills. What was published is durable by then."""
    program = """
stuck = Inbox(held=True)
bus.subscribe(None, stuck)
bus.close_on_sigterm(grace=0.5)
bus.publish(event(0))
assert stuck.wait_for(1)
os.kill(os.getpid(), signal.SIGTERM)
"""
    done = run(path, program)
    assert done.returncode == -signal.SIGTERM
    assert numbers(path) == [0]


def test_sigterm_in_the_middle_of_anything_the_main_thread_does(path: Path) -> None:
    """It interrupts the main thread wherever it is, also in the middle of publish or subscribe, with locks held."""
    program = """
bus.close_on_sigterm(grace=20)
begun = threading.Event()
def send():
    begun.wait()
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=send, daemon=True).start()
number = 0
while True:
    bus.publish(event(number))
    bus.statistics()
    bus.unsubscribe(bus.subscribe(None, print, inline=True, name="x"))
    os.write(1, b"\\npublished %d\\n" % number)
    number += 1
    if number == 20:
        begun.set()
"""
    done = run(path, program)
    assert done.returncode == -signal.SIGTERM, done.stderr
    published = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("published")]
    assert numbers(path)[: len(published)] == published


def test_only_the_main_thread_can_have_it_closed_on_sigterm(bus: RiskEventBus) -> None:
    """Python's own error would not say what to do."""
    errors: list[str] = []

    def elsewhere() -> None:
        try:
            bus.close_on_sigterm()
        except SettingsError as error:
            errors.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert "main thread" in errors[0]
    with pytest.raises(SettingsError, match="grace"):
        bus.close_on_sigterm(grace=0)


def test_publishing_from_a_daemon_thread_while_the_interpreter_ends(path: Path) -> None:
    """Such threads run on while everything is taken apart around them. Each event is durable or on standard output."""
    program = """
begun = threading.Event()
def publish():
    accepted = 0
    while True:
        try:
            bus.publish(event(accepted))
        except ClosedError:
            continue
        accepted += 1
        if accepted == 100:
            begun.set()

threading.Thread(target=publish, daemon=True).start()
begun.wait()
"""
    done = run(path, program)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert numbers(path)[:100] == list(range(100))


def test_publishing_from_a_finalizer_at_the_very_end(path: Path) -> None:
    """An object that says goodbye when the interpreter takes its module apart is late, but heard."""
    program = """
class Last:
    def __del__(self):
        try:
            bus.publish(event(99))
        except ClosedError:
            os.write(2, b"too late")

bus.publish(event(0))
last = Last()
"""
    done = run(path, program)
    assert done.returncode == 0, done.stderr
    assert numbers(path) == [0]
    assert "too late" in done.stderr
    assert '\\"number\\":99' in done.stdout


def test_an_exit_handler_of_the_program_still_publishes_and_subscribes(path: Path) -> None:
    """It was registered after riskbus was imported, so it runs before riskbus ends."""
    program = """
import atexit
@atexit.register
def goodbye():
    bus.subscribe(None, lambda event: print("handled", event.data["number"]))
    bus.publish(event(1))
"""
    done = run(path, program)
    assert done.returncode == 0, done.stderr
    assert numbers(path) == [1]
    assert "Traceback" not in done.stderr


def test_a_bus_that_nobody_holds_any_more_still_delivers(path: Path) -> None:
    """Garbage collection is no shutdown."""
    program = """
bus.subscribe(None, lambda event: print("handled", event.data["number"]))
bus.publish(event(5))
del bus
"""
    done = run(path, program)
    assert "handled 5" in done.stdout
    assert numbers(path) == [5]
