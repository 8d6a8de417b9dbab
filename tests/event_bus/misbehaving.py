"""A bus whose handlers misbehave in every way, and witnesses of whether anybody else noticed."""

import faulthandler
import os
import random
import sys
import threading
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import NamedTuple, NoReturn

from prometheus_client import CollectorRegistry

from riskbus import ClosedError, EventPriority, RiskEvent, RiskEventBus, WhenFull
from riskbus.bus import DropReason
from riskbus.testing import read_events

ROUND_SECONDS = 8.0
PUBLISHERS = 3
MOST_WORKERS = 14  # what hangs and what forks can hold eight, and the reserved one
CHILD_SECONDS = 60.0  # until a child's record is durable: its writer begins with a dozen syncs, beside everybody else's
DURABLE, CLOSED = 0, 3  # what a child ends with: its record is durable, or its bus was closed before it could publish
CRITICAL = EventPriority.CRITICAL


def expect(holds: bool, otherwise: str) -> None:
    """End the program with a sentence, if something does not hold."""
    if not holds:
        print(f"FAILED: {otherwise}", flush=True)  # noqa: T201 -- a program
        os._exit(1)  # threads may hang: that is what this is about


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


class Figures(NamedTuple):
    """What happened in a round, or in all.

    Attributes:
        events: Accepted, in the log, and seen by the witnesses.
        dropped: What those who misbehave did not get.
        quarantines: Of theirs.
        forks: Whose children published.
        child_seconds: The longest that a child lived.
        queued_ms: Milliseconds that the latest CRITICAL event took to a worker.
        inline_ms: The same to an inline handler.
    """

    events: int = 0
    dropped: int = 0
    quarantines: int = 0
    forks: int = 0
    child_seconds: float = 0.0
    queued_ms: float = 0.0
    inline_ms: float = 0.0

    def beside(self, other: "Figures") -> "Figures":
        """Add counts, and take the worse of times."""
        return Figures(
            self.events + other.events,
            self.dropped + other.dropped,
            self.quarantines + other.quarantines,
            self.forks + other.forks,
            max(self.child_seconds, other.child_seconds),
            max(self.queued_ms, other.queued_ms),
            max(self.inline_ms, other.inline_ms),
        )

    def __str__(self) -> str:
        return (
            f"{self.events:,} events, {self.dropped:,} dropped, {self.quarantines} quarantines, {self.forks} forks of "
            f"at most {self.child_seconds:.1f} s, CRITICAL at most {self.queued_ms:.1f} ms to a worker, "
            f"{self.inline_ms:.1f} ms inline"
        )


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
        self.queued, self.inline = Witness(), Witness()
        self.forks, self.slowest_child = 0, 0.0
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
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            self.live_as_a_child()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        expect(status in {DURABLE, CLOSED}, f"a child ended with {status}")
        self.forks += status == DURABLE
        self.slowest_child = max(self.slowest_child, time.monotonic() - began)

    def live_as_a_child(self) -> NoReturn:
        """Publish, and end with whether the record is durable; show what every thread does if it is not."""
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            receipt = self.bus.publish(RiskEvent("OF_A_CHILD", CRITICAL, "soak"))
            if receipt.wait_durable(CHILD_SECONDS):
                os._exit(DURABLE)
            print(f"{receipt} of a child: {self.bus.audit_log.status()}", file=sys.stderr)  # noqa: T201 -- a program
            faulthandler.dump_traceback()
        except ClosedError:  # forked while the bus was closing
            os._exit(CLOSED)
        except BaseException:  # noqa: BLE001 -- whatever it is, it is shown
            traceback.print_exc()
        finally:
            os._exit(1)

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
        events = read_events(self.path)
        recorded = [record["data"] for record in events if record["event_type"] == "LIMIT_BREACH"]
        of_children = sum(record["event_type"] == "OF_A_CHILD" for record in events)
        expect(of_children >= self.forks, f"{self.forks - of_children} events of children are not in the log")
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

    def figures(self) -> Figures:
        """Return what happened."""
        subscriptions = self.bus.statistics().subscriptions
        return Figures(
            sum(map(len, self.accepted)),
            sum(each.dropped for each in subscriptions),
            sum(each.quarantines for each in subscriptions),
            self.forks,
            self.slowest_child,
            self.queued.latest_ns / 1e6,
            self.inline.latest_ns / 1e6,
        )
