"""Waiting for what happens in other processes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_POLL_SECONDS = 0.2


def eventually(holds: Callable[[], bool], what: str, *, seconds: float = 60) -> None:
    """Wait until something holds; fail with `what` after so many seconds."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        pause.wait(_POLL_SECONDS)
