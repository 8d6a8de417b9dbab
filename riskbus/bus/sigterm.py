"""Closes a bus when the process is told to end."""

import os
import signal
import threading
from collections.abc import Callable
from time import monotonic
from types import FrameType

from riskbus.errors import SettingsError

_MARGIN = 1.0  # seconds after the deadline that a close which is bounded itself gets to return


def close_on_sigterm(close: Callable[[float], object], grace: float) -> None:
    """Have `close` called on SIGTERM, after the handler that is installed now.

    Args:
        close: Takes the seconds that it may spend.
        grace: Seconds in all.

    Raises:
        SettingsError: Called outside the main thread, or `grace` is not positive.
    """
    if not grace > 0:
        raise SettingsError(f"grace is {grace!r}; give a positive number of seconds")
    if threading.current_thread() is not threading.main_thread():
        raise SettingsError(
            "close_on_sigterm was called in a thread; Python lets only the main thread set signal handlers"
        )
    before = signal.getsignal(signal.SIGTERM)

    def on_sigterm(number: int, frame: FrameType | None) -> None:
        deadline = monotonic() + grace
        try:
            if callable(before):
                before(number, frame)
        finally:
            _close_elsewhere(close, deadline)
        if before is signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, on_sigterm)


def _close_elsewhere(close: Callable[[float], object], deadline: float) -> None:
    """Close on another thread: this one may be in the middle of anything, with a lock held that `close` needs."""
    left = max(0.0, deadline - monotonic())
    closer = threading.Thread(target=close, args=(left,), name="riskbus-sigterm", daemon=True)
    closer.start()
    closer.join(left + _MARGIN)
