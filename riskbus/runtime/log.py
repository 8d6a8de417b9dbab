"""The audit log as its users see it."""

import atexit
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from prometheus_client import REGISTRY, CollectorRegistry

from riskbus import report
from riskbus.clock import read_clock_status
from riskbus.configuration import Change
from riskbus.events import RiskEvent
from riskbus.format.checkpoint import Checkpoint
from riskbus.metrics import collector_for
from riskbus.quantities import timeout_seconds
from riskbus.runtime.appending import Append
from riskbus.runtime.control import config_payload
from riskbus.runtime.incarnation import Incarnation
from riskbus.runtime.receipt import Receipt
from riskbus.settings import AuditSettings
from riskbus.status import LogStatus
from riskbus.variables import warn_of_unknown_variables

_EXIT_TIMEOUT = 5.0  # seconds that the end of the process gives a log nobody closed

_LAST_REPORT_TIMEOUT = 2.0  # seconds for the report that says how it ended; a pod's grace period is for its work


class AuditLog:
    """A durable, tamper-evident log of risk events. Thread-safe; a fork gives the child an incarnation of its own.

        with AuditLog("/var/log/intraday-jules/risk_audit.jsonl") as log:
            receipt = log.append(event)
            receipt.wait_durable(timeout=1.0)

    A volume that is missing, full or broken is never an exception: records go to the emergency stream, `status` and
    the metrics say so, and the log goes on as soon as the volume does.

    Attributes:
        append: records an event and returns its `Receipt`. Never waits, never touches the volume, and never raises for
            a failure of the log; from any thread, also from signal handlers. It is a function of its own for speed,
            and another one after `close` and in a forked child: call it as `log.append(event)`, do not keep it. The
            receipt's `seq` is -1 if the log is closed or too far behind, and the event is in the emergency stream.
        stage: the same, but a CRITICAL record does not wake the writer: who has something more urgent to do first calls
            `hurry` afterwards. Otherwise the writer comes within milliseconds by itself.
        settings: as they are in force.
    """

    __slots__ = ("__dict__", "__weakref__", "append", "stage")  # these two, as they are found faster so

    append: Callable[[RiskEvent], Receipt]
    stage: Callable[[RiskEvent], Receipt]

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        settings: AuditSettings | None = None,
        registry: CollectorRegistry = REGISTRY,
        on_checkpoint: Callable[[Checkpoint], None] | None = None,
    ) -> None:
        """Start a writer; the volume is first touched on its thread.

        Args:
            path: the file that users follow; its directory holds the log. None takes it from `settings`, else from
                RISK_AUDIT_LOG_PATH, else logs/risk_audit.jsonl.
            settings: None reads them from the environment.
            registry: where the metrics appear.
            on_checkpoint: called with each new checkpoint, on a thread of the log; may block, must not raise.

        Raises:
            SettingsError: a setting is wrong.
        """
        if settings is None:
            settings = AuditSettings.from_environment(path=path)
            warn_of_unknown_variables()
        elif path is not None:
            settings = settings.model_copy(update={"path": Path(path)})
        absolute = Path(os.path.abspath(settings.path))  # noqa: PTH100 -- resolve() would ask the volume
        self.settings = settings.model_copy(update={"path": absolute})
        self._on_checkpoint = on_checkpoint
        self._collector = collector_for(registry)
        self._closing = Lock()
        self._unfinished: tuple[bytes, ...] | None = None
        self._incarnation = Incarnation(self.settings, on_checkpoint, self._use)
        self._collector.add(self._incarnation.metrics)
        self._incarnation.start()
        self._reporter = report.start(self.status, self.settings, registry=registry)
        _living.add(self)

    def adopt(self, values: Mapping[str, object], change: Change) -> None:
        """Go on with other settings, and record the change. Any thread, one at a time; never waits.

        Args:
            values: valid values of all settings; those that the change names count.
            change: what differs, and who wanted it.
        """
        mine = type(self.settings).model_fields
        update = {name: values[name] for name in change.changes if name in mine}
        self.settings = self.settings.model_copy(update=update)
        self._incarnation.adopt(self.settings)
        if self._reporter is not None:
            self._reporter.adopt(self.settings)
        self._incarnation.record("AUDIT_CONFIG", config_payload(change, self.settings))

    def hurry(self) -> None:
        """Wake the writer, as CRITICAL records do. Any thread; does not wait."""
        self._incarnation.host.wake()

    def status(self) -> LogStatus:
        """Return how the log is doing. Cheap; any thread."""
        incarnation = self._incarnation
        host, metrics = incarnation.host, incarnation.metrics
        return LogStatus(
            state=incarnation.state,
            stream=self.settings.stream_name(),
            incarnation=incarnation.name,
            path=str(self.settings.path),
            seq=incarnation.staging.claimed - 1,
            durable_seq=incarnation.progress.durable_seq,
            checkpoint=host.latest.note if host.latest else "",
            public_key=incarnation.public_key,
            mount=host.mount,
            clock=read_clock_status(),
            write_failures=metrics.write_failures,
            emergency_events=metrics.emergency_events,
            lost_events=incarnation.ring.lost,
            on_second_directory=bool(metrics.on_second),
        )

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait until the volume was validated and the log's first record is durable; False if it is not yet.

        Raises:
            SettingsError: `timeout` is no number.
        """
        return Receipt(0, self._incarnation.progress).wait_durable(timeout)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything accepted before this call is durable; False if it is not yet.

        Raises:
            SettingsError: `timeout` is no number.
        """
        return Receipt(self._incarnation.staging.claimed - 1, self._incarnation.progress).wait_durable(timeout)

    def close(self, timeout: float = 5.0) -> tuple[bytes, ...]:
        """Make everything durable and end the log. Calling it again changes nothing.

        Args:
            timeout: seconds to wait for the volume, as many as you like; some more are spent on standard output.

        Returns:
            The records (JSON) that were accepted and are not durable; empty if all is well.

        Raises:
            SettingsError: `timeout` is no number; the log goes on.
        """
        seconds = timeout_seconds(timeout)
        with self._closing:
            if self._unfinished is None:
                self._unfinished = self._incarnation.close(seconds)
                self._collector.retire(self._incarnation.metrics)
                if self._reporter is not None:
                    self._reporter.close(_LAST_REPORT_TIMEOUT)
                _living.discard(self)
            return self._unfinished

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _use(self, append: Append, stage: Append) -> None:
        self.append, self.stage = append, stage

    def _begin_again_in_child(self) -> None:
        self._closing = Lock()
        parent = self._incarnation
        parent.forget()
        self._reporter = None  # the pod has one report, and the parent writes it
        self._unfinished = ()  # as long as there is no incarnation of this process's own, there is none to end
        self._incarnation = Incarnation(self.settings, self._on_checkpoint, self._use)
        self._unfinished = None
        self._collector.replace(parent.metrics, self._incarnation.metrics)
        self._incarnation.start_with_first_record()


_living: set[AuditLog] = set()  # not weak: a log that nobody holds any more still has records to write


def _close_all() -> None:
    for log in list(_living):
        log.close(_EXIT_TIMEOUT)


def _after_fork_in_child() -> None:
    for log in list(_living):
        with suppress(Exception):  # the child must start, whatever became of one of its logs
            log._begin_again_in_child()  # noqa: SLF001 -- the other half of this module


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork_in_child)
