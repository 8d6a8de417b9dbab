"""A thread for errands that may block: logging, callbacks of users, standard output."""

import logging
from _thread import allocate_lock
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

logger = logging.getLogger("riskbus.audit")

_CAPACITY = 8192  # errands that wait; beyond it the world outside is stuck and more would only eat memory


class Courier:
    """Runs errands one after the other on a thread of its own, which starts with the first.

    After `finish` errands are still done, but none keeps the thread. Offering never blocks. Thread-safe.

    Args:
        name: of the thread.
        farewell: called on the thread whenever it ends.

    Attributes:
        refused: errands that were not accepted because too many waited.
    """

    def __init__(self, name: str, farewell: Callable[[], object] = lambda: None) -> None:
        self._name = name
        self._farewell = farewell
        self._finished = False
        self._errands: deque[Callable[[], object] | None] = deque()
        self._signal = allocate_lock()
        self._signal.acquire()
        self._started = allocate_lock()  # held while a thread runs
        self._thread: Thread | None = None
        self.refused = 0

    def offer(self, errand: Callable[[], object]) -> bool:
        """Queue an errand; False if too many wait."""
        if len(self._errands) >= _CAPACITY:
            self.refused += 1
            return False
        self._hand_over(errand)
        if self._finished:
            self._hand_over(None)
        return True

    def finish(self, timeout: float) -> bool:
        """Do what is queued, end the thread, and wait for that for at most so many seconds; False if it goes on."""
        self._finished = True
        if self._thread is None:
            return True
        self._hand_over(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _hand_over(self, errand: Callable[[], object] | None) -> None:
        self._errands.append(errand)
        with suppress(RuntimeError):  # it was awake
            self._signal.release()
        self._ensure_thread()

    def _ensure_thread(self) -> None:
        if self._started.acquire(blocking=False):
            thread = Thread(target=self._run, name=self._name, daemon=True)
            thread.start()
            self._thread = thread  # afterwards: nobody can wait for one that was not started

    def _run(self) -> None:
        while True:
            self._signal.acquire()
            while self._errands:
                errand = self._errands.popleft()
                if errand is None:
                    self._end()
                    return
                try:
                    errand()
                except (Exception, SystemExit):
                    with suppress(Exception, SystemExit):
                        logger.exception("a callback of the audit log failed")

    def _end(self) -> None:
        self._farewell()
        self._started.release()
        if self._errands:  # offered meanwhile, when a thread still seemed to run
            with suppress(RuntimeError):
                self._signal.release()
            self._ensure_thread()
