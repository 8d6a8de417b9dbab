"""What a log lives on: mount and clock, looked at again and again, on a thread that may hang with the volume."""

import logging

from riskbus.clock import ClockStatus, read_clock_status
from riskbus.metrics import AuditMetrics
from riskbus.mount import MountReport, Verdict, validate_mount
from riskbus.runtime import control
from riskbus.runtime.control import Record, Say
from riskbus.runtime.second_volume import SecondVolume
from riskbus.settings import AuditSettings


class Surroundings:
    """The verdict on the volume and the status of the clock; what changes becomes a record.

    Attributes:
        mount: what the volume is, None until it answered.
        clock: how well the clock is kept.
    """

    def __init__(self, settings: AuditSettings, metrics: AuditMetrics, record: Record, say: Say) -> None:
        self._path = settings.path
        self._second = SecondVolume(settings, metrics, say)
        self._metrics = metrics
        self._record = record
        self._say = say
        self.mount: MountReport | None = None
        self.clock: ClockStatus = read_clock_status()

    def look(self) -> MountReport:
        """Validate the mount for the first time."""
        self._second.look()
        self.mount = self._metrics.mount = validate_mount(self._path)
        self._warn_of(self.mount)
        return self.mount

    def look_again(self) -> None:
        """Validate the mount, ask the kernel about the clock, and record what changed."""
        self._second.look()
        before, self.mount = self.mount, validate_mount(self._path)
        self._metrics.mount = self.mount
        if before is None or (before.verdict, before.reason) != (self.mount.verdict, self.mount.reason):
            self._record("AUDIT_MOUNT", control.mount_payload(self.mount))
            self._warn_of(self.mount)
        before_clock, self.clock = self.clock, read_clock_status()
        if before_clock.synchronized != self.clock.synchronized:
            self._record("AUDIT_CLOCK", control.clock_payload(self.clock))

    def _warn_of(self, mount: MountReport) -> None:
        if mount.verdict is not Verdict.VALID:
            self._say(logging.WARNING, f"AUDIT LOG RISK: {mount.message}")
