"""A handler that keeps what it gets."""

import threading

from riskbus.events import RiskEvent

_LONGEST_HOLD_SECONDS = 60.0
"""A test that forgets to release a held handler fails; it does not hang."""


class Inbox:
    """A handler to subscribe in a test: it keeps every event, and can be waited for.

    Thread-safety: every method from any thread.

    Args:
        held: Whether each call of the handler stays in it until `release`, as a handler that hangs does.

    Attributes:
        events: What came, in order.
        threads: Names of the threads that brought it, in the same order.
    """

    def __init__(self, *, held: bool = False) -> None:
        self.events: list[RiskEvent] = []
        self.threads: list[str] = []
        self._changed = threading.Condition()
        self._released = threading.Event()
        if not held:
            self._released.set()

    def __call__(self, event: RiskEvent) -> None:
        """Keep an event; when held, stay until `release`."""
        with self._changed:
            self.events.append(event)
            self.threads.append(threading.current_thread().name)
            self._changed.notify_all()
        self._released.wait(_LONGEST_HOLD_SECONDS)

    def wait_for(self, count: int, timeout: float = 10.0) -> bool:
        """Wait until so many events came; False when they did not within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.events) >= count, timeout)

    def release(self) -> None:
        """Let held calls go on, and later ones pass."""
        self._released.set()
