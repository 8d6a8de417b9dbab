"""Looks after the writer: begins another when one ends before its time, and tells the world when one hangs."""

import logging
from collections.abc import Callable
from threading import Event, Thread
from time import monotonic_ns

from riskbus.runtime.host import Equipment, Host

_LOOK = 0.5  # seconds between two looks
_PATIENCE_NS = 5_000_000_000  # without a sign of life a writer hangs; far above any fsync of a volume that is well
_FIRST_PAUSE = 0.05  # seconds before another writer begins; doubled each time that the last one achieved nothing
_LONGEST_PAUSE = 5.0
_START_NS = 25_000_000_000  # more, that a new one gets to come up
_HANGS = "the audit volume has not answered for 5 seconds; look after it, or restart the pod on another node"


class Overseer:
    """A thread that watches the writer of an incarnation.

    Attributes:
        hanging: whether the writer has not given a sign of life for long.
    """

    def __init__(self, host: Host, equipment: Equipment, announce: Callable[[], None]) -> None:
        """Watch; `announce` is called while the writer hangs, and sends what waits to the emergency stream."""
        self._host = host
        self._ring = equipment.staging.ring
        self._equipment = equipment
        self._announce = announce
        self._durable = -1  # what was durable when the last writer ended
        self._pause = 0.0
        self._stopping = Event()
        self.hanging = False
        self._thread = Thread(target=self._run, name="riskbus-overseer", daemon=True)

    def start(self) -> None:
        """Begin to watch a writer that was started just now."""
        self._ring.alive_ns = monotonic_ns() + _START_NS
        self._thread.start()

    def stop(self) -> None:
        """Begin no more writers. Does not wait."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._host.ended.wait(_LOOK):
                self._succeed()
            else:
                self._look_for_life()

    def _look_for_life(self) -> None:
        was_hanging, self.hanging = self.hanging, monotonic_ns() - self._ring.alive_ns > _PATIENCE_NS
        if self.hanging == was_hanging:
            if self.hanging:
                self._announce()
            return
        metrics, second = self._equipment.metrics, self._equipment.settings.second_dir
        metrics.failing = int(self.hanging or self._host.failing)
        if not self.hanging:
            self._equipment.say(logging.INFO, "the audit writer works again")
            return
        self._host.count("write_failures")
        if second is None or metrics.on_second:
            self._equipment.say(logging.WARNING, f"AUDIT LOG RISK: {_HANGS}; records wait in memory")
        else:
            self._equipment.say(logging.WARNING, f"AUDIT LOG RISK: {_HANGS}; records go to {second}")
            self._host.abandon()

    def _succeed(self) -> None:
        durable = self._ring.released
        self._pause = 0.0 if durable > self._durable else min(max(self._pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE)
        self._durable = durable
        if not self._stopping.wait(self._pause):
            text = "AUDIT LOG RISK: the audit writer ended before its time; another one goes on"
            self._equipment.say(logging.WARNING, text)
            self._ring.alive_ns = monotonic_ns() + _START_NS
            self._host.start(distrust=self.hanging)
