"""What else takes an event to a handler: event emitters, pools, queues, and nothing at all.

None of them records anything. All are asked for the same: one subscriber, called with each event.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from queue import PriorityQueue
from threading import Thread
from typing import Any

from benchmarks.load import open_bus
from benchmarks.measuring import load
from riskbus import EventType, RiskEvent

Handler = Callable[[RiskEvent], object]
Publish = Callable[[RiskEvent], object]

_WORKERS = 10  # threads; the default of the bus, and what people write


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to take events to a handler.

    Attributes:
        package: what it needs, "" for nothing.
        open: gives what publishes, for a handler; at the end everything was handled. Takes the path of a log as well.
    """

    package: str
    open: Callable[[str, Handler], Any]


@contextmanager
def direct(_: str, handler: Handler) -> Iterator[Publish]:
    """Call the handler, and let nothing that it raises through."""

    def publish(event: RiskEvent) -> None:
        try:
            handler(event)
        except Exception as error:  # noqa: BLE001 -- this is the guard that is measured
            print(error)

    yield publish


@contextmanager
def riskbus_inline(path: str, handler: Handler) -> Iterator[Publish]:
    """Our bus, audit log on, the handler on the publisher's thread."""
    with open_bus(path) as bus:
        bus.subscribe(EventType.LIMIT_BREACH, handler, inline=True)
        yield bus.publish


@contextmanager
def riskbus_worker(path: str, handler: Handler) -> Iterator[Publish]:
    """Our bus, audit log on, the handler on a worker's thread."""
    with open_bus(path) as bus:
        bus.subscribe(EventType.LIMIT_BREACH, handler, capacity=200_000)
        yield bus.publish


@contextmanager
def pyee(_: str, handler: Handler) -> Iterator[Publish]:
    """An event emitter."""
    emitter = load("pyee").EventEmitter()
    emitter.on("event", handler)
    yield lambda event: emitter.emit("event", event)


@contextmanager
def blinker(_: str, handler: Handler) -> Iterator[Publish]:
    """A signal; `send` names the sender, and the event is an argument."""
    signal = load("blinker").signal("event")
    receiver = signal.connect(lambda _, event: handler(event), weak=False)
    yield lambda event: signal.send(receiver, event=event)


@contextmanager
def bubus(_: str, handler: Handler) -> Iterator[Publish]:
    """An asyncio bus of pydantic events; one that is published is awaited, as its own loop must run."""
    package = load("bubus")
    model = type("Published", (package.BaseEvent,), {"__annotations__": {"payload": Any}, "payload": None})
    with asyncio.Runner() as runner:
        bus = _in_loop(runner, lambda: package.EventBus(name="benchmark"))
        bus.on("Published", lambda published: handler(published.payload))

        async def publish(event: RiskEvent) -> None:
            await bus.dispatch(model(payload=event))

        yield lambda event: runner.run(publish(event))
        runner.run(bus.stop())


@contextmanager
def thread_pool(_: str, handler: Handler) -> Iterator[Publish]:
    """A pool that handles events in their order."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        yield lambda event: pool.submit(handler, event)


@contextmanager
def priority_queue(_: str, handler: Handler) -> Iterator[Publish]:
    """A queue by priority and ten threads that take from it."""
    queue: PriorityQueue[tuple[float, int, RiskEvent | None]] = PriorityQueue()
    numbers = count()

    def work() -> None:
        while (event := queue.get()[2]) is not None:
            handler(event)

    threads = [Thread(target=work, daemon=True) for _ in range(_WORKERS)]
    for thread in threads:
        thread.start()
    yield lambda event: queue.put((event.priority, next(numbers), event))
    for _number in threads:
        queue.put((float("inf"), next(numbers), None))
    for thread in threads:
        thread.join()


def _in_loop(runner: asyncio.Runner, make: Callable[[], Any]) -> Any:  # noqa: ANN401 -- a peer's
    async def call() -> Any:  # noqa: ANN401 -- a peer's
        return make()

    return runner.run(call())


RISKBUS = ("riskbus, inline", "riskbus, worker")
CONTENDERS = {
    "direct guarded call": Contender("", direct),
    "riskbus, inline": Contender("", riskbus_inline),
    "riskbus, worker": Contender("", riskbus_worker),
    "pyee": Contender("pyee", pyee),
    "blinker": Contender("blinker", blinker),
    "ThreadPoolExecutor": Contender("", thread_pool),
    "PriorityQueue + 10 workers": Contender("", priority_queue),
    "bubus": Contender("bubus", bubus),
}
