"""What a user sees: one line for each step, with its time."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def say(text: str) -> None:
    """Print one line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextmanager
def step(text: str) -> Iterator[None]:
    """Print the text and the seconds that the body took, when it succeeded."""
    start = time.monotonic()
    yield
    say(f"{time.monotonic() - start:7.1f} s  {text}")
