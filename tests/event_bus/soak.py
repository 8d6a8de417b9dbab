"""A program that lives with handlers which misbehave in every way, and says whether anybody else noticed.

    python -m tests.event_bus.soak --seconds 600

It runs in rounds. In each, three threads publish on a new bus with a log of its own, whose handlers raise, exit, hang,
are slow, publish in turn, subscribe and unsubscribe, and fork; at its end one of them closes the bus. Then:

- the log has every accepted event once,
- a well-behaved subscriber had each of them once, in the order of each publisher and priority,
- CRITICAL events reached a worker, and an inline handler, in time,
- nothing grows from round to round: objects, threads, descriptors, memory.
"""

import argparse
import gc
import logging
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry

from riskbus import ClosedError, EventPriority, RiskEvent, RiskEventBus, WhenFull
from riskbus.bus import DropReason
from riskbus.testing import read_events

ROUND_SECONDS = 8.0
PUBLISHERS = 3
MOST_WORKERS = 14  # what hangs and what forks can hold eight, and the reserved one
MOST_GROWTH = 32 << 20  # bytes of memory between the second and the last round
CRITICAL = EventPriority.CRITICAL


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


class Witness:
    """A well-behaved subscriber: knows what it got, and how late the latest was."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, int]] = []
        self.latest_ns = 0

    def __call__(self, event: RiskEvent) -> None:
        """Take an event in."""
        data = event.data
        if event.priority is CRITICAL:
            self.latest_ns = max(self.latest_ns, time.perf_counter_ns() - data["at"])
        self.seen.append((data["publisher"], event.priority, data["number"]))


class Round:
    """One bus, from its beginning to its end."""

    def __init__(self, directory: Path, dice: random.Random, slow_seconds: float) -> None:
        self.path = directory / "risk_audit.jsonl"
        self.dice = dice
        self.over = threading.Event()
        self.accepted: list[list[tuple[int, int, int]]] = [[] for _ in range(PUBLISHERS)]
        self.bus = RiskEventBus(
            MOST_WORKERS, audit_log_path=self.path, registry=CollectorRegistry(), slow_subscriber_seconds=slow_seconds
        )
        self.queued, self.inline, self.forks = Witness(), Witness(), 0
        self.bus.subscribe("LIMIT_BREACH", self.queued, name="witness", capacity=10**6, capacity_bytes=None)
        self.bus.subscribe("LIMIT_BREACH", self.inline, name="inline witness", inline=True)
        for handler in (
            self.fail, self.leave, self.hang, self.dawdle, self.publish_in_turn, self.come_and_go, self.fork
        ):  # fmt: skip
            self.bus.subscribe(
                "LIMIT_BREACH", handler, name=handler.__name__, capacity=50, block_seconds=0.002,
                when_full=dice.choice(list(WhenFull)),
            )  # fmt: skip
        self.bus.subscribe("LIMIT_BREACH", self.fail, name="inline fail", inline=True)
        self.bus.subscribe("CONSEQUENCE", self.publish_in_turn, name="consequences", inline=True)
        self.bus.subscribe("THE_END", self.close, name="closes")

    # -- how handlers misbehave

    def fail(self, event: RiskEvent) -> None:
        """Raise."""
        raise LookupError(event.event_id)

    def leave(self, _event: RiskEvent) -> None:
        """Exit."""
        sys.exit(1)

    def hang(self, _event: RiskEvent) -> None:
        """Hang, for as long as a round lasts, but for a chance to come to its senses now and then."""
        self.over.wait(self.dice.choice([0.001, 0.5, 6.0]))

    def dawdle(self, _event: RiskEvent) -> None:
        """Be slow and busy."""
        sum(range(20_000))

    def publish_in_turn(self, event: RiskEvent) -> None:
        """Publish again, from a handler of what it published, down to some depth."""
        depth = event.data.get("depth", 0)
        if depth < 5 and self.dice.random() < 0.2:
            self.bus.publish(RiskEvent("CONSEQUENCE", event.priority, "soak", {"depth": depth + 1}))

    def come_and_go(self, _event: RiskEvent) -> None:
        """Subscribe and unsubscribe."""
        self.bus.unsubscribe(self.bus.subscribe(None, self.fail, name="passing", inline=self.dice.random() < 0.5))

    def fork(self, _event: RiskEvent) -> None:
        """Fork now and then; the child publishes on its own bus and ends."""
        if self.dice.random() > 0.002:
            return
        child = os.fork()
        if child == 0:
            try:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                durable = self.bus.publish(RiskEvent("OF_A_CHILD", CRITICAL, "soak")).wait_durable(20)
                os._exit(0 if durable else 1)
            except ClosedError:  # forked while the bus was closing
                os._exit(0)
            finally:
                os._exit(2)
        status = os.waitpid(child, 0)[1]
        expect(status == 0, f"a child ended with {status}")
        self.forks += 1

    def close(self, _event: RiskEvent) -> None:
        """Close the bus from inside."""
        self.bus.close(20)

    # -- what is done, and what must hold

    def publish(self, publisher: int) -> None:
        """Publish until the bus is closed."""
        dice = random.Random(publisher)  # noqa: S311 -- no secret
        pause = threading.Event()
        number = 0
        while True:
            priority = dice.choice(list(EventPriority))
            data = {"publisher": publisher, "number": number, "at": time.perf_counter_ns()}
            try:
                self.bus.publish(RiskEvent("LIMIT_BREACH", priority, "soak", data))
            except ClosedError:
                return
            self.accepted[publisher].append((publisher, priority, number))
            number += 1
            if number % 10 == 0:
                pause.wait(dice.choice([0.0, 0.002, 0.02]))

    def run(self) -> None:
        """Let everything loose for a while, and end it."""
        publishers = [threading.Thread(target=self.publish, args=(number,)) for number in range(PUBLISHERS)]
        for thread in publishers:
            thread.start()
        self.over.wait(ROUND_SECONDS)
        self.over.set()
        self.bus.publish(RiskEvent("THE_END", CRITICAL, "soak"))
        for thread in publishers:
            thread.join(60)
        unfinished = self.bus.close(30)
        expect(not any(thread.is_alive() for thread in publishers), "a publisher hangs")
        expect(not unfinished.not_durable, f"{len(unfinished.not_durable)} records are not durable")
        left = {name for name, _ in unfinished.undelivered}
        expect("witness" not in left, "the witness was left behind")

    def check(self, late_seconds: float) -> None:
        """Compare what everybody saw."""
        accepted = [event for of_one in self.accepted for event in of_one]
        recorded = [record["data"] for record in read_events(self.path) if record["event_type"] == "LIMIT_BREACH"]
        written = Counter((data["publisher"], data["number"]) for data in recorded)
        # An event that met a closed bus was recorded and not accepted: one for each publisher at most.
        extra = written - Counter((publisher, number) for publisher, _, number in accepted)
        missing = Counter((publisher, number) for publisher, _, number in accepted) - written
        expect(not missing, f"{len(missing)} accepted events are not in the log")
        expect(len(extra) <= PUBLISHERS and set(written.values()) <= {1}, "events are in the log more than once")
        subscriptions = {each.name: each for each in self.bus.statistics().subscriptions}
        for name, witness in (("witness", self.queued), ("inline witness", self.inline)):
            dropped = subscriptions[name].dropped_by
            missed = len(accepted) - len(witness.seen)
            # An event that was accepted in the very moment in which the bus closed may come too late for a queue.
            expect(set(dropped) <= {DropReason.BUS_CLOSED}, f"the {name} lost events: {dropped}")
            expect(missed == sum(dropped.values()) <= PUBLISHERS, f"the {name} missed {missed} events")
            expect(len(set(witness.seen)) == len(witness.seen), f"the {name} had events twice")
            expect(set(witness.seen) <= set(accepted), f"the {name} had events that were not accepted")
            for publisher in range(PUBLISHERS):
                for priority in EventPriority:
                    numbers = [number for of, urgency, number in witness.seen if (of, urgency) == (publisher, priority)]
                    expect(numbers == sorted(numbers), f"the {name} had events in another order")
            late = witness.latest_ns / 1e9
            expect(late < late_seconds, f"a CRITICAL event was {late:.3f} s late")
        published = self.bus.statistics().published
        expect(sum(published.values()) >= len(accepted), "published events were not counted")

    def figures(self) -> str:
        """Say what happened."""
        subscriptions = {each.name: each for each in self.bus.statistics().subscriptions}
        dropped = sum(each.dropped for each in subscriptions.values())
        quarantines = sum(each.quarantines for each in subscriptions.values())
        return (
            f"{sum(map(len, self.accepted)):,} events, {dropped:,} dropped, {quarantines} quarantines, "
            f"{self.forks} forks, CRITICAL at most {self.queued.latest_ns / 1e6:.1f} ms to a worker, "
            f"{self.inline.latest_ns / 1e6:.1f} ms inline"
        )


def expect(holds: bool, otherwise: str) -> None:
    """End the program with a sentence, if something does not hold."""
    if not holds:
        print(f"FAILED: {otherwise}", flush=True)  # noqa: T201
        os._exit(1)  # threads may hang: that is what this is about


def measure() -> Size:
    """Measure what must not grow."""
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return Size(len(gc.get_objects()), threading.active_count(), len(list(Path("/proc/self/fd").iterdir())), resident)


def settle(expected: Size | None) -> Size:
    """Measure when the threads of the last round have ended."""
    pause = threading.Event()
    for _ in range(500):
        if expected is None or threading.active_count() <= expected.threads:
            break
        pause.wait(0.01)
    return measure()


def main() -> None:
    """Run rounds until the time is over."""
    arguments = argparse.ArgumentParser(description="Live with handlers that misbehave.")
    arguments.add_argument("--seconds", type=float, default=600)
    arguments.add_argument("--late-seconds", type=float, default=1.0, help="what is late for a CRITICAL event")
    arguments.add_argument("--slow-seconds", type=float, default=3.0, help="what is slow for a subscriber")
    arguments.add_argument("--seed", type=int, default=None)
    options = arguments.parse_args()
    seed = random.randrange(10**6) if options.seed is None else options.seed  # noqa: S311 -- no secret
    print(f"seed {seed}")  # noqa: T201
    logging.disable()  # what misbehaves is logged, and that is tested elsewhere
    ends_at = time.monotonic() + options.seconds
    sizes: list[Size] = []
    while not sizes or time.monotonic() + ROUND_SECONDS < ends_at:
        directory = Path(tempfile.mkdtemp(prefix="riskbus-soak-"))
        one = Round(directory, random.Random(seed + len(sizes)), options.slow_seconds)  # noqa: S311
        one.run()
        one.check(options.late_seconds)
        figures = one.figures()
        del one
        shutil.rmtree(directory)
        sizes.append(settle(sizes[0] if sizes else None))
        print(f"round {len(sizes)}: {figures}; {sizes[-1]}", flush=True)  # noqa: T201
    first, last = sizes[min(1, len(sizes) - 1)], sizes[-1]  # the first round warms up
    expect(last.threads <= first.threads, "threads are left behind")
    expect(last.descriptors <= first.descriptors, "descriptors are left behind")
    expect(last.objects < first.objects * 1.02, "objects are left behind")
    expect(last.resident - first.resident < MOST_GROWTH, "memory grows")
    print("PASSED: nobody else noticed")  # noqa: T201


if __name__ == "__main__":
    main()
