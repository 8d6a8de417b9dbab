"""What the bus has to say about itself: events of its own, published by a thread of their own.

Handlers may run inline, and may hang: no thread that anybody depends on publishes these.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from riskbus.bus.outcomes import SOURCE
from riskbus.errors import ClosedError
from riskbus.events import EventPriority, RiskEvent

_MOST_WAITING = 1000
"""Notices that wait while a handler holds the thread; each was logged and counted before."""


class Notices:
    """Publishes notices, one after the other.

    Thread-safety: every method from any thread, also from signal handlers.

    Args:
        publish: Of the bus.
    """

    def __init__(self, publish: Callable[[RiskEvent], object]) -> None:
        self._publish = publish
        self._waiting: SimpleQueue[RiskEvent | None] = SimpleQueue()
        self._starting = threading.Lock()  # held once the thread runs

    def send(self, event_type: str, data: dict[str, Any]) -> None:
        """Have a notice published. Does not wait."""
        if self._waiting.qsize() < _MOST_WAITING:
            self._waiting.put(RiskEvent(event_type, EventPriority.HIGH, SOURCE, data))
        if self._starting.acquire(blocking=False):
            threading.Thread(target=self._run, name="riskbus-notices", daemon=True).start()

    def stop(self) -> None:
        """Let the thread end after the notice it is at."""
        self._waiting.put(None)

    def _run(self) -> None:
        while event := self._waiting.get():
            with suppress(ClosedError):
                self._publish(event)
