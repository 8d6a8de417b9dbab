"""Async handlers run on an event loop that nothing ever blocks."""

import asyncio
import sys
import threading
from collections.abc import Callable

import pytest

from riskbus import EventPriority, RiskEvent, RiskEventBus, SettingsError
from riskbus.bus import DropReason
from riskbus.testing import Inbox

Open = Callable[..., RiskEventBus]
Make = Callable[..., RiskEvent]
Until = Callable[[Callable[[], object]], bool]


class AsyncInbox(Inbox):
    """An inbox whose handler is a coroutine function."""

    async def __call__(self, event: RiskEvent) -> None:  # type: ignore[override]  # it is the async one
        """Keep an event, after the loop has had its turn."""
        await asyncio.sleep(0)
        super().__call__(event)


async def all_came(inbox: Inbox, count: int) -> bool:
    """Wait without blocking the loop."""
    return await asyncio.get_running_loop().run_in_executor(None, inbox.wait_for, count)


async def test_a_handler_runs_on_the_loop_it_was_subscribed_on(bus: RiskEventBus, make: Make) -> None:
    """An async strategy's state belongs to its loop's thread; no lock is needed."""
    inbox = AsyncInbox()
    bus.subscribe(None, inbox)
    publisher = threading.Thread(target=lambda: [bus.publish(make(number=number)) for number in range(200)])
    publisher.start()
    assert await all_came(inbox, 200)
    publisher.join()
    assert set(inbox.threads) == {threading.current_thread().name}
    assert [event.data["number"] for event in inbox.events] == list(range(200))


def test_a_handler_subscribed_outside_any_loop_gets_one_of_the_bus(bus: RiskEventBus, make: Make) -> None:
    """A synchronous program can use a library's async handler as it is."""
    inbox = AsyncInbox()
    bus.subscribe(None, inbox)
    bus.publish(make())
    assert inbox.wait_for(1)
    assert inbox.threads == ["riskbus-asyncio"]


async def test_a_given_loop_is_used(bus: RiskEventBus, make: Make) -> None:
    """Wiring is often done outside the loop that does the work."""
    inbox = AsyncInbox()
    loop = asyncio.get_running_loop()
    wiring = threading.Thread(target=lambda: bus.subscribe(None, inbox, loop=loop))
    wiring.start()
    wiring.join()
    bus.publish(make())
    assert await all_came(inbox, 1)
    assert inbox.threads == [threading.current_thread().name]


async def test_critical_passes_a_handler_that_awaits_for_a_low_event(bus: RiskEventBus, make: Make) -> None:
    """Awaiting a slow service for a report must not hold the kill switch."""
    answered, reached = asyncio.Event(), asyncio.Event()

    async def handle(event: RiskEvent) -> None:
        if event.priority is EventPriority.LOW:
            await answered.wait()
        else:
            reached.set()

    bus.subscribe(None, handle)
    bus.publish(make(EventPriority.LOW))
    bus.publish(make(EventPriority.CRITICAL))
    await asyncio.wait_for(reached.wait(), 10)
    answered.set()


async def test_the_loop_has_its_turn_in_a_flood(bus: RiskEventBus, make: Make) -> None:
    """A handler that never awaits anything must not keep the loop from its other tasks."""
    handled: list[RiskEvent] = []

    async def handle(event: RiskEvent) -> None:  # that it awaits nothing is the point
        handled.append(event)

    bus.subscribe(None, handle)
    for _ in range(1000):
        bus.publish(make())
    seen = set()
    while len(handled) < 1000:
        await asyncio.sleep(0)
        seen.add(len(handled))
    assert len(seen) > 10


async def test_a_handler_that_raises_is_counted(bus: RiskEventBus, make: Make) -> None:
    """As with synchronous handlers; the next event is handled as if nothing had happened."""
    inbox = AsyncInbox()

    async def fails_first(event: RiskEvent) -> None:
        if event.data["number"] == 0:
            raise LookupError
        await inbox(event)

    bus.subscribe(None, fails_first)
    bus.publish(make(number=0))
    bus.publish(make(number=1))
    assert await all_came(inbox, 1)
    assert [each.failed for each in bus.statistics().subscriptions] == [1]


def test_a_handler_that_exits_does_not_end_the_loop_of_the_bus(bus: RiskEventBus, make: Make, until: Until) -> None:
    """All other async handlers run there, and `close` needs it."""
    inbox = AsyncInbox()

    async def leave(_: RiskEvent) -> None:
        sys.exit(3)

    leaving = bus.subscribe("LIMIT_BREACH", leave)
    bus.subscribe("THROTTLE", inbox)
    bus.publish(make())
    assert until(lambda: leaving.statistics().failed == 1)
    bus.publish(make(kind="THROTTLE"))
    assert not bus.close(10)
    assert len(inbox.events) == 1


async def test_a_handler_that_exits_does_not_end_a_loop_of_the_program(bus: RiskEventBus, make: Make) -> None:
    """It would end everything that the program does there."""
    inbox = AsyncInbox()

    async def leave(_: RiskEvent) -> None:
        sys.exit(3)

    bus.subscribe("LIMIT_BREACH", leave)
    bus.subscribe("LIMIT_BREACH", inbox)
    for _ in range(2):
        bus.publish(make())
    assert await all_came(inbox, 2)


def test_what_waits_for_a_loop_that_is_closed_is_dropped_and_waited_for_by_nobody(
    bus: RiskEventBus, make: Make, until: Until
) -> None:
    """`asyncio.run` cancels what is in a handler and tells nobody of the events behind it."""
    begun = threading.Event()

    async def never_ends(_: RiskEvent) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def subscribe() -> None:
        bus.subscribe(None, never_ends, name="gone")
        for _ in range(5):
            bus.publish(make())
        await asyncio.to_thread(begun.wait)

    asyncio.run(subscribe())

    def dropped() -> dict[DropReason, int]:
        (statistics,) = (each for each in bus.statistics().subscriptions if each.name == "gone")
        return dict(statistics.dropped_by)

    assert until(lambda: dropped() == {DropReason.LOOP_CLOSED: 4})

    async def wait() -> None:
        async with asyncio.timeout(30):
            await bus.publish_and_wait(make())

    asyncio.run(wait())
    assert dropped() == {DropReason.LOOP_CLOSED: 5}
    assert not bus.close(10)


async def test_a_task_that_somebody_cancels_costs_one_event(bus: RiskEventBus, make: Make) -> None:
    """A program that cancels whatever it finds on its loop, and goes on."""
    inbox, begun = AsyncInbox(), asyncio.Event()

    async def hangs_first(event: RiskEvent) -> None:
        if event.data["number"] == 0:
            begun.set()
            await asyncio.Event().wait()
        await inbox(event)

    bus.subscribe(None, hangs_first)
    for number in range(3):
        bus.publish(make(number=number))
    await begun.wait()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    assert await all_came(inbox, 2)


def test_a_loop_that_ended_costs_its_handler_the_events_and_nobody_else(
    bus: RiskEventBus, make: Make, until: Until
) -> None:
    """A strategy that has ended its loop and not its subscription is a bug that must be seen, and only there."""

    async def subscribe() -> None:
        bus.subscribe(None, AsyncInbox(), name="gone")

    asyncio.run(subscribe())
    other = Inbox()
    bus.subscribe(None, other)
    for _ in range(3):
        bus.publish(make())
    assert other.wait_for(3)
    assert until(lambda: [each.dropped for each in bus.statistics().subscriptions if each.name == "gone"] == [3])
    assert not bus.close(10)


async def test_closing_on_the_loop_does_not_wait_for_what_only_the_loop_can_do(bus: RiskEventBus, make: Make) -> None:
    """It would wait for itself. What was not delivered is returned instead."""
    inbox = AsyncInbox()
    bus.subscribe(None, inbox, name="here")
    event = make()
    bus.publish(event)
    assert bus.close(60).undelivered == (("here", event),)
    assert inbox.events == []


def test_an_async_handler_cannot_be_inline(bus: RiskEventBus) -> None:
    """There is nothing on the publisher's thread to await it."""
    with pytest.raises(SettingsError, match="cannot run inline"):
        bus.subscribe(None, AsyncInbox(), name="contradiction", inline=True)
