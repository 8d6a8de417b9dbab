"""Two threads on one bus, stopped wherever the interpreter can stop them: nothing is lost, repeated or stuck.

One thread does something and is stopped at the first place in the bus' code at which the interpreter looks whether
another thread is to go on, in the next run at the second, and so on to the last. While it is stopped another thread
does something else from beginning to end, or as far as it gets when the first one holds a lock. That is every way in
which one thread can come in between another. CPython looks after calls, at the start of functions and at jumps
backwards, and nowhere else: an addition to an attribute, for example, is never interrupted.
"""

import dis
import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

import riskbus.bus
from riskbus import AuditLog, ClosedError, EventPriority, RiskEvent, RiskEventBus

HERE = str(Path(riskbus.bus.__file__).parent)
_BLOCKED_SECONDS = 0.02  # how long the other may be held up by a lock before the first goes on
_MOST_STOPS = 120  # of a run: when it has more steps, only every second, third … is taken
_LOOKS = {code for name, code in dis.opmap.items() if name.startswith("CALL") or name in {"RESUME", "JUMP_BACKWARD"}}


class Stopper:
    """Runs something, and something else when it has come to a certain step: a place where threads can change.

    Args:
        step: Where to stop; beyond the last step, it never does.
        other: What is done meanwhile, on a thread of its own.
    """

    def __init__(self, step: int, other: Callable[[], None]) -> None:
        self.steps = 0
        self._step = step
        self._last = -1
        self._other = threading.Thread(target=other, daemon=True)

    def run(self, action: Callable[[], None]) -> None:
        """Do it, to the end of both."""
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            action()
        finally:
            sys.settrace(before)
        if self._other.ident is None:
            self._other.start()
        self._other.join(20)
        assert not self._other.is_alive(), f"stuck after a stop at step {self._step}"

    def _enter(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(HERE):
            return None
        frame.f_trace_opcodes = True
        return self._at

    def _at(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "opcode":
            before, self._last = self._last, frame.f_code.co_code[frame.f_lasti]
            if before in _LOOKS:
                self.steps += 1
                if self.steps == self._step:
                    self._other.start()
                    self._other.join(_BLOCKED_SECONDS)
        return self._at


class Scene:
    """A bus with a queued and an inline subscriber, and what can be done with it.

    Args:
        log: The audit log.
    """

    def __init__(self, log: AuditLog) -> None:
        self.bus = RiskEventBus(audit_log=log, registry=CollectorRegistry(), slow_subscriber_seconds=3600)
        self.queued: list[RiskEvent] = []
        self.inline: list[RiskEvent] = []
        self.late: list[list[RiskEvent]] = []
        self.accepted: list[RiskEvent] = []
        self._subscription = self.bus.subscribe(None, self.queued.append, name="queued", capacity=2)
        self.bus.subscribe(None, self.inline.append, name="inline", inline=True)

    def publish(self) -> None:
        """Publish three events, of which the queue may have no room for all."""
        for _ in range(3):
            event = RiskEvent("LIMIT_BREACH", EventPriority.HIGH, "tests")
            try:
                self.bus.publish(event)
            except ClosedError:
                continue
            self.accepted.append(event)

    def subscribe(self) -> None:
        """Bring a third subscriber in."""
        late: list[RiskEvent] = []
        try:
            self.bus.subscribe(None, late.append, name="late")
        except ClosedError:
            return
        self.late.append(late)

    def unsubscribe(self) -> None:
        """Take the queued one out."""
        self.bus.unsubscribe(self._subscription)

    def close(self) -> None:
        """End the bus."""
        self.bus.close(10)

    def check(self) -> None:
        """Every accepted event reached the inline handler once, and the queued one once or is counted as dropped."""
        before = len(self.accepted)
        self.publish()
        unfinished = self.bus.close(10)
        accepted = {event.event_id for event in self.accepted}
        assert not unfinished
        assert Counter(event.event_id for event in self.inline) == dict.fromkeys(accepted, 1)
        handled = Counter(event.event_id for event in self.queued)
        assert set(handled.values()) <= {1}
        assert set(handled) <= accepted
        assert len(handled) + self._subscription.statistics().dropped <= len(accepted)
        if self._subscription in self.bus._routes.subscriptions:  # noqa: SLF001 -- it was not unsubscribed
            assert len(handled) + self._subscription.statistics().dropped == len(accepted)
        for late in self.late:
            seen = [event.event_id for event in late]
            assert len(seen) == len(set(seen))
            assert {event.event_id for event in self.accepted[before:]} <= set(seen) <= accepted
        published = self.bus.statistics().published[EventPriority.HIGH]
        assert published == len(accepted)
        assert self._subscription.statistics().waiting_bytes == 0


ACTIONS = ["publish", "subscribe", "unsubscribe", "close"]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Say nothing: each of the thousands of scenes drops an event and would log it."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("other", ACTIONS)
@pytest.mark.parametrize("first", ACTIONS)
def test_whatever_comes_in_between_nothing_is_lost(audit_log: AuditLog, first: str, other: str) -> None:
    """Components come, go and publish when they like, and none of them knows of the others."""
    scene = Scene(audit_log)
    whole = Stopper(sys.maxsize, lambda: None)
    whole.run(getattr(scene, first))
    scene.check()
    assert whole.steps
    for step in range(1, whole.steps + 1, whole.steps // _MOST_STOPS + 1):
        scene = Scene(audit_log)
        Stopper(step, getattr(scene, other)).run(getattr(scene, first))
        scene.check()
