"""One life of an audit log in one process: from AUDIT_OPEN to AUDIT_CLOSE."""

import os
from collections.abc import Callable
from itertools import count
from pathlib import PurePosixPath
from threading import Thread
from time import time_ns

from riskbus.events import RiskEvent, uuid7
from riskbus.format.checkpoint import Checkpoint
from riskbus.format.output import emergency_lines
from riskbus.format.record import encode_event
from riskbus.metrics import AuditMetrics
from riskbus.mount.judgement import TMPFS
from riskbus.mount.mountinfo import find_mount, read_mounts
from riskbus.runtime.courier import Courier, logger
from riskbus.runtime.output import Output
from riskbus.runtime.progress import Progress
from riskbus.runtime.receipt import Receipt
from riskbus.runtime.staging import Staging
from riskbus.runtime.writer import Writer
from riskbus.settings import AuditSettings
from riskbus.status import State
from riskbus.store.ring import SLOT, Ring, create_ring

_FAREWELL = 1.0  # seconds that the last lines for standard output and the logger get


class Incarnation:
    """Staging, writer and threads that belong together.

    Attributes:
        name: 32 hexadecimal digits of a UUID version 7.
        staging, progress, metrics, writer: the parts.
    """

    def __init__(self, settings: AuditSettings, on_checkpoint: Callable[[Checkpoint], None] | None) -> None:
        self.name = uuid7(time_ns()).replace("-", "")
        self.staging = Staging(_make_ring(settings, self.name))
        self.progress = Progress(self.staging.wake)
        self.metrics = AuditMetrics(str(settings.path))
        self._refusals = count(1)
        self._output = Output()
        self._courier = Courier("riskbus-courier")
        self.writer = Writer(
            settings,
            self.name,
            self.staging,
            self.progress,
            self.metrics,
            self._output,
            self._courier,
            on_checkpoint,
        )
        self._thread = Thread(target=self.writer.run, name="riskbus-writer", daemon=True)

    @property
    def state(self) -> State:
        """What the writer does."""
        if self.progress.ended:
            return State.CLOSED
        if self.writer.failing:
            return State.FAILING
        return State.OPENING if self.progress.durable_seq < 0 else State.WRITING

    def start(self) -> None:
        """Start the writer."""
        self._thread.start()

    def start_with_first_record(self) -> None:
        """Start the writer when the first record comes, so that a child that never publishes leaves no file."""
        claim = self.staging.claim

        def start_and_claim() -> int:
            self.staging.claim = claim
            self._thread.start()
            return claim()

        self.staging.claim = start_and_claim

    def refuse(self, event: RiskEvent) -> Receipt:
        """Send an event that the log cannot take to the emergency stream. Any thread; never blocks."""
        self.metrics.lost = next(self._refusals)
        self.metrics.emergency_events += 1
        for line in emergency_lines(self.name, -1, encode_event(-1, event)):
            self._output.write(line)
        return Receipt(-1, self.progress)

    def close(self, timeout: float) -> tuple[bytes, ...]:
        """Make everything durable, end the threads, and return the records for which that did not succeed."""
        if self._thread.ident is not None:
            self.writer.stop(timeout)
            self._thread.join(timeout + _FAREWELL)
        self.staging.refusing = True
        self.progress.end()
        unfinished = self.writer.give_up()
        if not self._thread.is_alive():
            self.writer.release()
            if not unfinished:
                self.staging.ring.remove()
            self.staging.ring.give_up()
        self._output.finish(_FAREWELL)
        self._courier.finish(_FAREWELL)
        return unfinished

    def forget(self) -> None:
        """Let go of the parent's descriptors; for the child after a fork."""
        self.writer.release()
        self._output.release()
        self.staging.ring.give_up()


def _make_ring(settings: AuditSettings, incarnation: str) -> Ring:
    directory = settings.staging_dir
    mount = find_mount(read_mounts(), PurePosixPath(os.path.realpath(directory)))
    shared = directory if mount is not None and mount.filesystem in TMPFS else None
    ring = create_ring(shared, incarnation, str(settings.path), settings.staging_size // SLOT)
    if ring.path is None:
        message = (
            "AUDIT LOG RISK: %s is no memory file system with %d bytes free; records on their way end with the process"
        )
        logger.warning(message, directory, settings.staging_size)
    return ring
