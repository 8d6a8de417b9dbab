"""Trading processes that are there to be killed, and the witness that outlives them.

    python -m tests.faults.victims PATH FIRST ROUNDS            kill each victim
    python -m tests.faults.victims PATH FIRST ROUNDS IMAGE      first cut the power of the volume that is in this image

The program is the witness. It forks one victim after the other, ends each with SIGKILL at a random moment, alone or
with its writer's process where RISK_AUDIT_WRITER=process, and prints
what the victim had testified to: a line of JSON for each, [run, [accepted by each thread], [durable for each thread]].

A victim testifies by a store into memory that it shares with the witness, after `append` or a receipt has said so and
before it does anything else. So the witness knows it without asking the log, and a kill cannot take it back.
"""

import json
import mmap
import os
import random
import select
import signal
import sys
from itertools import count
from pathlib import Path
from threading import Thread
from time import monotonic

from prometheus_client import CollectorRegistry

from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings
from tests.faults.volumes import Volume

_WAVES = (40, 90, 160)  # events of each thread between two waits: what is on its way must fit into half of the ring
THREADS = len(_WAVES)
_LONG = 41  # every so many events, one does not fit into a slot of the ring
_STAGING = "2Mi"  # a small ring is quick to make; half of it takes what was inherited, the rest is for the waves
_YOUNG = 0.25  # part of the victims that die young, while they open the log or recover
_CHILDHOOD = 0.1  # seconds
_WORK = 600  # events after which a victim that did not die young is killed, at most
_GLANCE = 0.001  # seconds between two looks at the testimony
_TOGETHER = 0.5  # part of the victims whose writer's process is killed with them, as when a container ends
# Seconds after which a victim is killed that cannot work: its volume is gone, or its writer's process never comes up.
_OLD_AGE = 20.0 if os.environ.get("RISK_AUDIT_WRITER") == "process" else 1.0


class Testimony:
    """Words in memory that a victim shares with its witness.

    Attributes:
        accepted: for each thread, how many of its events `append` has returned for.
        durable: for each thread, how many of its events are durable as the receipts say.
    """

    def __init__(self) -> None:
        words = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("Q")
        self.accepted, self.durable = words[:THREADS], words[THREADS : 2 * THREADS]

    def forget(self) -> None:
        """Start again from none."""
        for thread in range(THREADS):
            self.accepted[thread] = self.durable[thread] = 0


def publish(log: AuditLog, run: int, thread: int, testimony: Testimony) -> None:
    """Append events for ever, and testify to each."""
    asked, receipt = 0, None
    for number in count():
        padding = "x" * 2000 if number % _LONG == _LONG - 1 else ""
        data = {"number": [run, thread, number], "padding": padding}
        newest = log.append(RiskEvent(EventType.THROTTLE, EventPriority(number % 4), "test", data))
        testimony.accepted[thread] = number + 1
        if receipt is None:
            asked, receipt = number, newest
        if (number + 1) % _WAVES[thread] == 0:
            while not newest.wait_durable(1):
                pass
            asked, receipt = number, newest
        if receipt.durable:
            testimony.durable[thread] = asked + 1
            receipt = None


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


def fork_and_end(path: str, run: int, testimony: Testimony, volume: Volume | None) -> tuple[list[int], list[int]]:
    """Start a victim and kill it at a random moment, after a power cut where a volume is given.

    Returns what it had testified to: accepted and durable. After a power cut nobody would live to hear anything, so
    then the moment before counts: a sync that the cut meets on its way may come back as if all were well (Linux 6.18).
    """
    victim = os.fork()
    if victim == 0:
        try:
            trade(path, run, testimony)
        finally:
            os._exit(1)
    os.setpgid(victim, victim)
    wait_for_the_moment(victim, testimony.durable if volume else testimony.accepted)
    said = testimony.accepted.tolist(), testimony.durable.tolist()
    if volume:
        volume.cut_power()
    together = random.random() < _TOGETHER  # noqa: S311 -- any will do
    (os.killpg if together else os.kill)(victim, signal.SIGKILL)
    _, status = os.waitpid(victim, 0)
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        sys.exit(f"victim {run} ended before it was killed")
    if volume:
        volume.remount()
        for ring in Path(os.environ["RISK_AUDIT_STAGING_DIR"]).iterdir():
            ring.unlink()  # memory does not survive a power cut either
        return said
    return testimony.accepted.tolist(), testimony.durable.tolist()


def wait_for_the_moment(victim: int, testimony: "memoryview[int]") -> None:
    """Wait for a random time while the victim is young, or until it has testified to a random number of events."""
    choose = random.Random()  # noqa: S311 -- any moment will do
    died = os.pidfd_open(victim)
    if choose.random() < _YOUNG:
        select.select([died], [], [], choose.uniform(0, _CHILDHOOD))
    else:
        work, end = choose.randrange(1, _WORK), monotonic() + _OLD_AGE
        while sum(testimony) < work and monotonic() < end:
            select.select([died], [], [], _GLANCE)
    os.close(died)


def main(path: str, first: int, rounds: int, image: str = "") -> None:
    """Fork, end, and print what was testified to."""
    testimony = Testimony()
    volume = Volume(Path(path).parents[1], Path(image)) if image else None
    for run in range(first, first + rounds):
        sys.stdout.write(json.dumps([run, *fork_and_end(path, run, testimony, volume)]) + "\n")
        testimony.forget()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
