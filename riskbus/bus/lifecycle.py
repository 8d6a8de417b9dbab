"""What the end of the process and a fork do to the buses that live."""

import atexit
import os
import sys
from contextlib import suppress
from typing import NoReturn, Protocol
from weakref import WeakSet

from riskbus.bus import metrics
from riskbus.bus.mailbox import serving

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


def end_child() -> NoReturn:
    """End the child of a fork whose only thread of the program has nothing left to do, and all that it published."""
    serving.set(None)
    _close_all()
    with suppress(Exception):  # whoever read them is gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)


def _after_fork_in_child() -> None:
    metrics.begin_again_in_child()
    for bus in list(living):
        with suppress(Exception):  # the child must start, whatever became of one of its buses
            bus.begin_again_in_child()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork_in_child)
