"""What the second directory is on: found out while it is not needed, so that a bad one is not met on the bad day."""

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

from riskbus.metrics import AuditMetrics
from riskbus.mount import Verdict, validate_mount
from riskbus.settings import AuditSettings


class SecondVolume:
    """Validates the second directory, on threads of its own, which may hang with it."""

    def __init__(self, settings: AuditSettings, metrics: AuditMetrics, say: Callable[[int, str], None]) -> None:
        self._directory = settings.second_dir
        self._path = settings.path
        self._metrics = metrics
        self._say = say
        self._looking: Thread | None = None
        self._said = ""

    def look(self) -> None:
        """Begin a validation, unless one is still under way or there is no second directory. Does not block."""
        if self._directory is not None and (self._looking is None or not self._looking.is_alive()):
            self._looking = Thread(target=self._look, name="riskbus-second-volume", daemon=True)
            self._looking.start()

    def _look(self) -> None:
        if self._directory is None:
            return
        with suppress(OSError):  # the validation says what is wrong
            self._directory.mkdir(parents=True, exist_ok=True)
        report = self._metrics.second_mount = validate_mount(self._directory / self._path.name)
        finding = "" if report.verdict is Verdict.VALID else f"the second directory: {report.message}"
        with suppress(OSError):  # one of them cannot be asked, which its own validation says
            if os.stat(self._directory).st_dev == os.stat(self._path.parent).st_dev:  # noqa: PTH116 -- as given
                finding = f"{self._directory} is on the log's own volume and fails with it; mount another volume there"
        if finding and finding != self._said:
            self._say(logging.WARNING, f"AUDIT LOG RISK: {finding}")
        self._said = finding
