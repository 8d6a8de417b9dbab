"""One life of an audit log in one process: from AUDIT_OPEN to AUDIT_CLOSE."""

from collections.abc import Callable
from itertools import count
from threading import Thread
from time import time_ns

from riskbus.events import RiskEvent, uuid7
from riskbus.format.checkpoint import Checkpoint
from riskbus.format.output import emergency_lines
from riskbus.format.record import encode_event
from riskbus.metrics import AuditMetrics
from riskbus.runtime.courier import Courier
from riskbus.runtime.output import Output
from riskbus.runtime.progress import Progress
from riskbus.runtime.receipt import Receipt
from riskbus.runtime.staging import Staged, Staging
from riskbus.runtime.writer import Writer
from riskbus.settings import AuditSettings
from riskbus.status import State

_FAREWELL = 1.0  # seconds that the last lines for standard output and the logger get


class Incarnation:
    """Staging, writer and threads that belong together.

    Attributes:
        name: 32 hexadecimal digits of a UUID version 7.
        staging, progress, metrics, writer: the parts.
    """

    def __init__(self, settings: AuditSettings, on_checkpoint: Callable[[Checkpoint], None] | None) -> None:
        self.name = uuid7(time_ns()).replace("-", "")
        self.staging = Staging()
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
        put = self.staging.put

        def put_and_start(staged: Staged) -> None:
            self.staging.put = put
            put(staged)
            self._thread.start()

        self.staging.put = put_and_start

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
        self._output.finish(_FAREWELL)
        self._courier.finish(_FAREWELL)
        return unfinished

    def forget(self) -> None:
        """Let go of the parent's descriptors; for the child after a fork."""
        self.writer.release()
        self._output.release()
