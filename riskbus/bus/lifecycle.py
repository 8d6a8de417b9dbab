"""What the end of the process and a fork do to the buses that live."""

import atexit
import os
from contextlib import suppress
from typing import Protocol
from weakref import WeakSet

from riskbus.bus import metrics

_EXIT_TIMEOUT = 5.0
"""Seconds that the end of the process gives a bus nobody closed."""


class Living(Protocol):
    """What a bus is here."""

    def close(self, timeout: float) -> object:
        """End within so many seconds."""

    def begin_again_in_child(self) -> None:
        """Make threads and locks anew."""


living: WeakSet[Living] = WeakSet()
"""Every bus that is not closed."""


def _close_all() -> None:
    for bus in list(living):
        bus.close(_EXIT_TIMEOUT)


def _after_fork_in_child() -> None:
    metrics.begin_again_in_child()
    for bus in list(living):
        with suppress(Exception):  # the child must start, whatever became of one of its buses
            bus.begin_again_in_child()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork_in_child)
