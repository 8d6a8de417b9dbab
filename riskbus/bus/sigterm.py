"""Closes a bus when the process is told to end."""

import os
import signal
import threading
from collections.abc import Callable
from time import monotonic
from types import FrameType

from riskbus.errors import SettingsError
from riskbus.quantities import timeout_seconds

_MARGIN = 1.0  # seconds after the deadline that a close which is bounded itself gets to return


def close_on_sigterm(close: Callable[[float], object], grace: float) -> None:
    """Have `close` called on SIGTERM, after the handler that is installed now.

    Args:
        close: Takes the seconds that it may spend.
        grace: Seconds in all.

    Raises:
        SettingsError: Called outside the main thread, or `grace` is not positive.
    """
    seconds = timeout_seconds(grace)
    if not seconds:
        raise SettingsError(f"grace is {grace!r}; give a positive number of seconds")
    if threading.current_thread() is not threading.main_thread():
        raise SettingsError(
            "close_on_sigterm was called in a thread; Python lets only the main thread set signal handlers"
        )
    before = signal.getsignal(signal.SIGTERM)

    def on_sigterm(number: int, frame: FrameType | None) -> None:
        deadline = monotonic() + seconds
        _now.enter()
        try:
            if callable(before):
                before(number, frame)
            elif before is signal.SIG_DFL:
                _now.deadly = True
        finally:
            _now.close(close, deadline)
            outermost = _now.leave()
        if outermost and _now.deadly:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, on_sigterm)


class _Handling:
    """What the handlers of several buses, each of which calls the one before it, know of each other. Main thread only.

    Attributes:
        deadly: Whether the process would have ended, had none of them been there.
    """

    def __init__(self) -> None:
        self.deadly = False
        self._depth = 0
        self._closers: list[tuple[threading.Thread, float]] = []

    def enter(self) -> None:
        """Note that a handler begins."""
        self.deadly = self.deadly and self._depth > 0
        self._depth += 1

    def close(self, close: Callable[[float], object], deadline: float) -> None:
        """Close on another thread: this one may be in the middle of anything, with a lock held that `close` needs."""
        left = max(0.0, deadline - monotonic())
        closer = threading.Thread(target=close, args=(left,), name="riskbus-sigterm", daemon=True)
        closer.start()
        self._closers.append((closer, deadline + _MARGIN))

    def leave(self) -> bool:
        """Note that a handler ends; the first that began waits for all of them. Returns whether it was that one."""
        self._depth -= 1
        if self._depth:
            return False
        for closer, deadline in self._closers:
            closer.join(max(0.0, deadline - monotonic()))
        self._closers.clear()
        return True


_now = _Handling()
