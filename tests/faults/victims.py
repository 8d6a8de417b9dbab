"""Trading processes that are there to be killed, and the witness that outlives them.

    python -m tests.faults.victims PATH FIRST ROUNDS

The program is the witness. It forks one victim after the other, kills each with SIGKILL at a random moment, and prints
what the victim had testified to: a line of JSON for each, [run, [accepted by thread 0, by thread 1, ...]].

A victim testifies by a store into memory that it shares with the witness, after `append` has returned and before it
does anything else. So the witness knows what was accepted without asking the log, and a kill cannot take that back.
"""

import json
import mmap
import os
import random
import select
import signal
import sys
from threading import Thread
from time import monotonic

from prometheus_client import CollectorRegistry

from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings

_WAVES = (40, 90, 160)  # events of each thread between two waits: what is on its way must fit into half of the ring
THREADS = len(_WAVES)
_LONG = 41  # every so many events, one does not fit into a slot of the ring
_STAGING = "2Mi"  # a small ring is quick to make; half of it takes what was inherited, the rest is for the waves
_YOUNG = 0.25  # part of the victims that die young, while they open the log or recover
_CHILDHOOD = 0.1  # seconds
_WORK = 600  # events after which a victim that did not die young is killed, at most
_GLANCE = 0.001  # seconds between two looks at the testimony
_OLD_AGE = 1.0  # seconds after which a victim is killed that cannot work, because its volume is gone


class Testimony:
    """Words in memory that a victim shares with its witness: for each thread, how many events were accepted."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        self.accepted = memoryview(self._memory).cast("Q")

    def read(self) -> list[int]:
        """Return how many events of each thread were accepted, and start again from none."""
        counts = self.accepted[:THREADS].tolist()
        for thread in range(THREADS):
            self.accepted[thread] = 0
        return counts


def publish(log: AuditLog, run: int, thread: int, testimony: Testimony) -> None:
    """Append events for ever, and testify to each."""
    number = 0
    while True:
        padding = "x" * 2000 if number % _LONG == _LONG - 1 else ""
        data = {"number": [run, thread, number], "padding": padding}
        receipt = log.append(RiskEvent(EventType.THROTTLE, EventPriority(number % 4), "test", data))
        number += 1
        testimony.accepted[thread] = number
        while number % _WAVES[thread] == 0 and not receipt.wait_durable(1):
            pass


def trade(path: str, run: int, testimony: Testimony) -> None:
    """Be a trading process until someone ends it."""
    log = AuditLog(
        settings=AuditSettings.from_environment(path=path, staging_size=_STAGING), registry=CollectorRegistry()
    )
    threads = [Thread(target=publish, args=(log, run, thread, testimony)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def fork_and_kill(path: str, run: int, testimony: Testimony) -> None:
    """Start a victim and kill it at a random moment."""
    victim = os.fork()
    if victim == 0:
        try:
            trade(path, run, testimony)
        finally:
            os._exit(1)
    wait_for_the_moment(victim, testimony)
    os.kill(victim, signal.SIGKILL)
    _, status = os.waitpid(victim, 0)
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        sys.exit(f"victim {run} ended before it was killed")


def wait_for_the_moment(victim: int, testimony: Testimony) -> None:
    """Wait for a random time while the victim is young, or until it has testified to a random number of events."""
    choose = random.Random()  # noqa: S311 -- any moment will do
    died = os.pidfd_open(victim)
    if choose.random() < _YOUNG:
        select.select([died], [], [], choose.uniform(0, _CHILDHOOD))
    else:
        work, end = choose.randrange(1, _WORK), monotonic() + _OLD_AGE
        while sum(testimony.accepted[:THREADS]) < work and monotonic() < end:
            select.select([died], [], [], _GLANCE)
    os.close(died)


def main(path: str, first: int, rounds: int) -> None:
    """Fork, kill, and print what was accepted."""
    testimony = Testimony()
    for run in range(first, first + rounds):
        fork_and_kill(path, run, testimony)
        sys.stdout.write(json.dumps([run, testimony.read()]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
