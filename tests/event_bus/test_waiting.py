"""Waiting for an event's end without blocking the event loop, on asyncio's loop and on uvloop's."""

import asyncio
import importlib.util
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from riskbus import EventPriority, Receipt, RiskEvent, RiskEventBus
from riskbus.bus import WhenFull
from riskbus.testing import Inbox, read_events

Make = Callable[..., RiskEvent]
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine on a new loop of this kind."""
    factory = asyncio.new_event_loop
    if request.param == "uvloop":
        factory = pytest.importorskip("uvloop").new_event_loop

    def run_one(coroutine: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(coroutine, 30))

    return run_one


def test_uvloop_is_what_the_tests_run_on_too() -> None:
    """A test that is skipped shows nothing."""
    assert importlib.util.find_spec("uvloop")


def test_publish_and_wait_returns_when_every_handler_is_done_and_the_record_is_durable(
    bus: RiskEventBus, make: Make, path: Path, run: Run
) -> None:
    """An async strategy reports the halt when it is one."""
    done: list[str] = []

    async def slow(_event: RiskEvent) -> None:
        await asyncio.sleep(0.01)
        done.append("async")

    async def scenario() -> None:
        bus.subscribe(None, slow)
        bus.subscribe(None, lambda _: done.append("worker"))
        bus.subscribe(None, lambda _: done.append("inline"), inline=True)
        receipt = await bus.publish_and_wait(make(EventPriority.CRITICAL))
        assert sorted(done) == ["async", "inline", "worker"]
        assert receipt.durable

    run(scenario())
    assert len([each for each in read_events(path) if each["event_type"] == "LIMIT_BREACH"]) == 1


def test_nobody_to_wait_for(bus: RiskEventBus, make: Make, run: Run) -> None:
    """With no handler it waits for the record alone."""

    async def scenario() -> None:
        assert (await bus.publish_and_wait(make())).durable

    run(scenario())


def test_the_loop_goes_on_meanwhile(bus: RiskEventBus, make: Make, run: Run) -> None:
    """Market data keeps flowing while a handler hangs in a thread."""
    held = Inbox(held=True)

    async def scenario() -> None:
        bus.subscribe(None, held)
        waiting = asyncio.create_task(bus.publish_and_wait(make()))
        assert await asyncio.to_thread(held.wait_for, 1)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not waiting.done()
        held.release()
        await waiting

    run(scenario())


@pytest.mark.parametrize("way", ["publish_and_wait", "receipt"])
def test_the_loop_goes_on_while_the_volume_refuses(
    open_bus: Callable[..., RiskEventBus], make: Make, path: Path, run: Run, way: str
) -> None:
    """Durability can take for ever; nothing of that is the loop's."""
    path.parent.touch()  # where the log's directory should be
    bus = open_bus()
    watchdog = threading.Timer(20, bus.close, [0])  # ends the wait of a loop that is blocked

    async def scenario() -> None:
        watchdog.start()
        settles = bus.publish_and_wait(make()) if way == "publish_and_wait" else wait_for(bus.publish(make()))
        waiting = asyncio.create_task(settles)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not waiting.done()
        path.parent.unlink()
        assert await waiting

    run(scenario())
    watchdog.cancel()


def test_a_dropped_delivery_counts_as_done(bus: RiskEventBus, make: Make, run: Run) -> None:
    """Nobody will ever handle it: waiting would never end."""
    held = Inbox(held=True)

    async def scenario() -> None:
        bus.subscribe(None, held, capacity=1, when_full=WhenFull.DROP_OLDEST)
        bus.publish(make())
        assert await asyncio.to_thread(held.wait_for, 1)
        first = asyncio.create_task(bus.publish_and_wait(make(number=1)))
        await asyncio.sleep(0)
        bus.publish(make(number=2))  # pushes number 1 out
        assert (await first).durable
        held.release()

    run(scenario())


def test_what_waits_when_the_bus_closes_counts_as_done(bus: RiskEventBus, make: Make, run: Run) -> None:
    """A shutdown must not leave tasks behind that never end."""
    held = Inbox(held=True)

    async def scenario() -> None:
        bus.subscribe(None, held)
        bus.publish(make())
        assert await asyncio.to_thread(held.wait_for, 1)
        waiting = asyncio.create_task(bus.publish_and_wait(make()))
        await asyncio.sleep(0)
        await asyncio.get_running_loop().run_in_executor(None, bus.close, 0.1)
        await waiting
        held.release()

    run(scenario())


def test_what_a_handler_publishes_is_not_waited_for(bus: RiskEventBus, make: Make, run: Run) -> None:
    """Consequences can have consequences without end."""
    held = Inbox(held=True)
    bus.subscribe("HEARTBEAT", held)
    bus.subscribe("LIMIT_BREACH", lambda _: bus.publish(make(kind="HEARTBEAT")), inline=True)

    async def scenario() -> None:
        await bus.publish_and_wait(make())

    run(scenario())
    assert held.wait_for(1)
    held.release()


def test_a_receipt_is_awaited_on_any_loop(bus: RiskEventBus, make: Make, run: Run) -> None:
    """Durability is told by a thread of the log; the loop hears of it in its own."""

    async def scenario() -> None:
        receipts = [bus.publish(make(number=number)) for number in range(50)]
        assert await asyncio.gather(*(wait_for(receipt) for receipt in receipts)) == [True] * 50

    run(scenario())


async def wait_for(receipt: Receipt) -> bool:
    """Await a receipt as a task can."""
    return await receipt


def test_async_handlers_run_on_the_loop_they_came_from(bus: RiskEventBus, make: Make, run: Run) -> None:
    """On uvloop as on asyncio's own."""
    loops: set[asyncio.AbstractEventLoop] = set()

    async def handle(_event: RiskEvent) -> None:
        loops.add(asyncio.get_running_loop())

    async def scenario() -> None:
        bus.subscribe(None, handle)
        for _ in range(100):
            await bus.publish_and_wait(make())
        assert loops == {asyncio.get_running_loop()}

    run(scenario())
