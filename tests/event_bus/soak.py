"""A program that lives with handlers which misbehave in every way, and says whether anybody else noticed.

    python -m tests.event_bus.soak --seconds 600

It runs in rounds. In each, three threads publish on a new bus with a log of its own, whose handlers raise, exit, hang,
are slow, publish in turn, subscribe and unsubscribe, and fork; at its end one of them closes the bus. Then:

- the log has every accepted event once,
- a well-behaved subscriber had each of them once, in the order of each publisher and priority,
- CRITICAL events reached a worker, and an inline handler, in time,
- nothing grows from round to round: objects, threads, descriptors, memory.

Memory is measured with a single arena of the allocator. By itself glibc gives threads arenas of their own, up to eight
for each processor, and keeps in each what was once in use there, up to a megabyte or two; threads that come and go fill
them one after the other for dozens of rounds, and a leak would hide among that.
"""

import argparse
import ctypes
import gc
import logging
import os
import random
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.event_bus.misbehaving import ROUND_SECONDS, Figures, Round, expect

_MOST_GROWTH = 16 << 20  # bytes of memory between the second and the last round: 16 for each event of ten minutes
_MOST_OBJECTS = 100  # in the same time; a single one for each event, or two for each round, is more
_M_ARENA_MAX = -8  # of mallopt(3)


class Size(NamedTuple):
    """What must not grow.

    Attributes:
        objects: That the garbage collector knows.
        threads: Of this process.
        descriptors: Open in this process.
        resident: Bytes of memory.
    """

    objects: int
    threads: int
    descriptors: int
    resident: int


def measure() -> Size:
    """Measure what must not grow, when the threads of a round have ended."""
    pause, deadline = threading.Event(), time.monotonic() + 5
    while threading.active_count() > 1 and time.monotonic() < deadline:
        pause.wait(0.01)
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return Size(len(gc.get_objects()), threading.active_count(), len(list(Path("/proc/self/fd").iterdir())), resident)


def live(seed: int, options: argparse.Namespace) -> Figures:
    """Live through one round. Its children leave the rings of their logs behind, as they end without closing them."""
    with TemporaryDirectory(prefix="riskbus-soak-") as name, TemporaryDirectory(dir=options.memory) as memory:
        os.environ["RISK_AUDIT_STAGING_DIR"] = memory
        one = Round(Path(name), random.Random(seed), options.slow_seconds)  # noqa: S311 -- no secret
        one.run()
        one.check(options.late_seconds)
        return one.figures()


def parse() -> argparse.Namespace:
    """Read the command line."""
    arguments = argparse.ArgumentParser(description="Live with handlers that misbehave.")
    arguments.add_argument("--seconds", type=float, default=600)
    arguments.add_argument("--late-seconds", type=float, default=1.0, help="what is late for a CRITICAL event")
    arguments.add_argument("--slow-seconds", type=float, default=3.0, help="what is slow for a subscriber")
    arguments.add_argument("--seed", type=int, default=random.randrange(10**6))  # noqa: S311 -- no secret
    memory = os.environ.get("RISK_AUDIT_STAGING_DIR", "/dev/shm")  # noqa: S108 -- rings are for a memory file system
    arguments.add_argument("--memory", default=memory, help="where the rings of the logs go")
    return arguments.parse_args()


def main() -> None:
    """Run rounds until the time is over."""
    options = parse()
    sys.stdout = os.fdopen(os.dup(1), "w")  # standard output itself has what the logs say
    os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), 1)
    print(f"seed {options.seed}")  # noqa: T201 -- a program
    logging.disable()  # what misbehaves is logged, and that is tested elsewhere
    ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
    ends_at = time.monotonic() + options.seconds
    rounds, total = 0, Figures()
    first = last = measure()
    while not rounds or time.monotonic() + ROUND_SECONDS < ends_at:
        figures = live(options.seed + rounds, options)
        rounds, total = rounds + 1, total.beside(figures)
        last = measure()
        if rounds <= 2:  # the first round warms up
            first = last
        print(f"round {rounds}: {figures}; {last}", flush=True)  # noqa: T201 -- a program
    expect(last.threads == 1, "threads are left behind")
    expect(last.descriptors <= first.descriptors, "descriptors are left behind")
    expect(last.objects - first.objects < _MOST_OBJECTS, "objects are left behind")
    expect(last.resident - first.resident < _MOST_GROWTH, "memory grows")
    print(f"{rounds} rounds: {total}; {(last.resident - first.resident) / 2**20:+.1f} MiB since the second")  # noqa: T201 -- a program
    print("PASSED: nobody else noticed")  # noqa: T201 -- a program


if __name__ == "__main__":
    main()
