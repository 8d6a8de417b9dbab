"""A thread that looks around now and then: for stuck workers, slow subscribers and missed objectives."""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from riskbus.bus.saying import say

PERIOD_SECONDS = 0.25
"""Each look makes a publisher wait a little, so there are few."""

_SHORT_SECONDS = 0.05
"""Where there are workers: so soon another comes to the help of those that are stuck."""


class Watch:
    """Calls what looks around.

    Thread-safety: every method from any thread, also from signal handlers.

    Args:
        looks: What is called each time, with whether somebody asked for it.
        workers_run: Whether there are workers, which may be stuck.
    """

    def __init__(self, looks: Sequence[Callable[[bool], None]], workers_run: Callable[[], bool]) -> None:
        self._looks = looks
        self._workers_run = workers_run
        self._asked = threading.Event()
        self._stopping = False
        self._starting = threading.Lock()  # held once the thread runs

    def start(self) -> None:
        """Start looking, if that was not done yet."""
        if self._starting.acquire(blocking=False):
            with suppress(RuntimeError):  # the interpreter ends: nothing is left to look after
                threading.Thread(target=self._run, name="riskbus-watch", daemon=True).start()

    def ask(self) -> None:
        """Have it look now."""
        self._asked.set()

    def stop(self) -> None:
        """Let the thread end. Does not wait."""
        self._stopping = True
        self._asked.set()

    def _run(self) -> None:
        while not self._stopping:
            asked = self._asked.wait(_SHORT_SECONDS if self._workers_run() else PERIOD_SECONDS)
            self._asked.clear()
            for look in self._looks:
                try:
                    look(asked)
                except Exception:  # noqa: BLE001 -- a mistake in one must not end the others
                    say(logging.ERROR, "The watch of a bus failed in one of its looks", exc_info=True)
