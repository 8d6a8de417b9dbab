"""What a user sees: one line for each step, with its time, and now and then one that says how far a long one is."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PROGRESS_SECONDS = 15.0


def say(text: str) -> None:
    """Print one line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextmanager
def step(text: str, *, so_far: Callable[[], str] = str, every: float = _PROGRESS_SECONDS) -> Iterator[None]:
    """Print the text and the seconds that the body took, when it succeeded.

    Args:
        text: What is done then.
        so_far: How far the body is; asked by another thread.
        every: Seconds between two lines that say so.
    """
    start = time.monotonic()
    ended = threading.Event()

    def report() -> None:
        while not ended.wait(every):
            say(f"{time.monotonic() - start:7.0f} s  ... not yet {text}{so_far()}")

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield
    finally:
        ended.set()
        reporter.join()
    say(f"{time.monotonic() - start:7.1f} s  {text}")
