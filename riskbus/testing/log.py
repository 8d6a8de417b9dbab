"""An audit log whose files are memory."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings, ReportMode
from riskbus.testing.records import only_events, read_records

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- memory that looks like files
_STAGING_BYTES = 1 << 20  # enough for a test, and a hundred of them fit
_PATIENCE_SECONDS = 30.0


class MemoryAuditLog(AuditLog):
    """A real audit log, with real segments, hashes and checkpoints, in a directory of its own in shared memory.

        with MemoryAuditLog() as log:
            log.append(event)
            assert log.events()[0]["event_type"] == "KILL_SWITCH"

    It reads no environment, reports to no Kubernetes, and shows its metrics nowhere but in `registry`. The directory
    is gone after `close`; what was recorded can still be asked for. Where there is no /dev/shm, the directory is in
    the place for temporary files.

    Thread-safety: as `AuditLog`.

    Args:
        settings: Settings other than the defaults, such as `durability="sync"`.

    Attributes:
        registry: Where the metrics appear.
    """

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 -- the model checks them
        self._directory = Path(
            tempfile.mkdtemp(prefix="riskbus-", dir=_SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None)
        )
        self._owner = os.getpid()
        self._kept: list[dict[str, Any]] | None = None
        self.registry = CollectorRegistry()
        place = {"path": self._directory / "audit" / "risk_audit.jsonl", "staging_dir": self._directory}
        chosen = place | {"staging_size": _STAGING_BYTES, "report": ReportMode.OFF} | settings
        super().__init__(settings=AuditSettings(**chosen), registry=self.registry)

    def records(self) -> list[dict[str, Any]]:
        """Return every record so far, the log's own included, in order. Waits until all of it is durable."""
        if self._kept is not None:
            return self._kept
        self.flush(_PATIENCE_SECONDS)
        return read_records(self.settings.path)

    def events(self) -> list[dict[str, Any]]:
        """Return what the program published so far, in order. Waits until all of it is durable."""
        return only_events(self.records())

    def close(self, timeout: float = 5.0) -> tuple[bytes, ...]:
        """End the log as `AuditLog.close` does, keep what it recorded, and give the memory back."""
        unfinished = super().close(timeout)
        if self._kept is None and self._owner == os.getpid():  # the child of a fork leaves the parent's files alone
            self._kept = read_records(self.settings.path) if self.settings.path.parent.exists() else []
            shutil.rmtree(self._directory, ignore_errors=True)
        return unfinished
