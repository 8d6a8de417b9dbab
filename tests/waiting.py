"""Waits for a condition, which no test does for a time."""

from collections.abc import Callable
from threading import Event
from time import monotonic


def within(seconds: float, holds: Callable[[], object]) -> bool:
    """Wait until something holds; whether it did within so many seconds."""
    pause, deadline = Event(), monotonic() + seconds
    while not holds():
        if monotonic() > deadline:
            return False
        pause.wait(0.005)
    return True
