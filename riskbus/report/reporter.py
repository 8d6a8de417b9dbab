"""The thread that keeps the pod's report current."""

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry

from riskbus.errors import RiskBusError, SettingsError
from riskbus.report.api import ApiServer, ReportRefusedError
from riskbus.report.identity import PodIdentityError, read_identity
from riskbus.report.manifest import report_manifest
from riskbus.report.metrics import ReportMetrics, metrics_for
from riskbus.settings import AuditSettings, ReportMode
from riskbus.status import LogStatus

_log = logging.getLogger("riskbus.report")

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes mounts a pod's token and the API server's certificate authority."""

_CHECK_SECONDS = 1.0
"""How often the log is looked at: a volume's verdict that changes is reported this soon."""

_LEAST_GAP_SECONDS = 5.0
"""Least time between two reports of failures that go on counting: the API server serves others too."""

_FIRST_RETRY_SECONDS = 1.0
"""First wait after a failure, doubled each time up to the interval: a policy often comes seconds after its pod."""

_VOLUME_GRACE_SECONDS = 10.0
"""How long the first report waits for the volume's verdict before it says that the volume does not answer."""

_VOLUME_CHECK_SECONDS = 0.1
"""How often it looks for that first verdict."""

_REPEAT_LOG_SECONDS = 600.0
"""The same failure is logged again after this time."""

_JITTER = 0.1
"""Share by which waits vary, so that a thousand pods do not report in the same second."""


def start(
    status: Callable[[], LogStatus],
    settings: AuditSettings,
    *,
    registry: CollectorRegistry = REGISTRY,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = _SERVICE_ACCOUNT,
) -> "Reporter | None":
    """Start to report, where there is a Kubernetes to report to.

    Args:
        status: Returns the log's status. Called on the reporter's thread; must be quick and must not touch a volume.
        settings: Whether, how often and for which policy to report.
        registry: Where the reporter's metrics are registered.
        environ: Says where the API server is.
        service_account: Directory of the token and the certificate authority.

    Returns:
        The running reporter; None outside Kubernetes, without a mounted token, or with `RISK_AUDIT_REPORT=off`.

    Raises:
        SettingsError: `KUBERNETES_SERVICE_PORT` is not a port.
    """
    host = environ.get("KUBERNETES_SERVICE_HOST", "")
    token_path = service_account / "token"
    if settings.report is ReportMode.OFF or not host or not token_path.exists():
        return None
    server = ApiServer(host, _port(environ.get("KUBERNETES_SERVICE_PORT", "443")), service_account / "ca.crt")
    return Reporter(status, settings, server, token_path, metrics_for(registry))


class Reporter:
    """Reports at once, whenever what matters changes, and at each interval.

    ::

        start ──▶ look ──▶ due? ──no──▶ wait ──▶ look …
                            │ first, verdict or failures changed, interval over, retry due
                            └─yes─▶ apply ──accepted─▶ next in one interval
                                         └─refused──▶ next after 1, 2, 4 … seconds, at most one interval

    A failure is logged once and then at most every ten minutes, counted in `audit_report_failures_total`, and never
    reaches the workload.

    Thread-safety: `adopt` and `close` may be called from any thread, and more than once.
    """

    def __init__(
        self,
        status: Callable[[], LogStatus],
        settings: AuditSettings,
        server: ApiServer,
        token_path: Path,
        metrics: ReportMetrics,
    ) -> None:
        self._status = status
        self._settings = settings
        self._server = server
        self._token_path = token_path
        self._metrics = metrics
        self._version = version("riskbus")
        self._stop = threading.Event()
        self._reported: LogStatus | None = None
        self._due = 0.0
        self._changes_due = 0.0
        self._failures_in_a_row = 0
        self._logged: tuple[str, float] = ("", 0.0)
        self._thread = threading.Thread(target=self._run, name="riskbus-report", daemon=True)
        self._thread.start()

    def adopt(self, settings: AuditSettings) -> None:
        """Go on with other settings: how often to report."""
        self._settings = settings
        self._due = min(self._due, time.monotonic() + _jittered(settings.report_interval))

    def close(self, timeout: float) -> None:
        """Report once more and stop.

        Args:
            timeout: Seconds to wait for that last report. An API server that hangs delays nobody longer.
        """
        self._stop.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        self._await_volume()
        while not self._stop.is_set():
            self._look()
            until_due = max(0.0, self._due - time.monotonic())
            self._stop.wait(_jittered(min(_CHECK_SECONDS, until_due)))
        self._due = 0.0
        self._look()

    def _await_volume(self) -> None:
        grace_until = time.monotonic() + _VOLUME_GRACE_SECONDS
        while self._status().mount is None and time.monotonic() < grace_until:
            if self._stop.wait(_VOLUME_CHECK_SECONDS):
                return

    def _look(self) -> None:
        status = self._status()
        if not self._changed(status) and time.monotonic() < self._due:
            return
        try:
            self._report(status)
        except ReportRefusedError as error:
            self._failed(error.reason, error)
        except PodIdentityError as error:
            self._failed("identity", error)

    def _changed(self, status: LogStatus) -> bool:
        before = self._reported
        if before is None or self._failures_in_a_row:
            return False  # a first report, and one after a refusal, have times of their own
        if _verdict(status) != _verdict(before):
            return True
        return _failures(status) != _failures(before) and time.monotonic() >= self._changes_due

    def _report(self, status: LogStatus) -> None:
        pod = read_identity(self._token_path)
        manifest = report_manifest(pod, status, self._settings, observed_at=datetime.now(UTC), version=self._version)
        self._server.apply_report(pod, manifest)
        if self._failures_in_a_row:
            _log.info("The audit report of pod %s is accepted again", pod.name)
        self._reported = status
        self._failures_in_a_row = 0
        self._due = time.monotonic() + _jittered(self._settings.report_interval)
        self._changes_due = time.monotonic() + _LEAST_GAP_SECONDS
        self._metrics.last_success.set_to_current_time()

    def _failed(self, reason: str, error: RiskBusError) -> None:
        self._metrics.failures.labels(reason).inc()
        doublings = min(self._failures_in_a_row, 10)
        retry = min(_FIRST_RETRY_SECONDS * 2**doublings, self._settings.report_interval)
        self._failures_in_a_row += 1
        now = time.monotonic()
        self._due = now + _jittered(retry)
        last_reason, logged_at = self._logged
        if reason != last_reason or now - logged_at >= _REPEAT_LOG_SECONDS:
            self._logged = (reason, now)
            _log.warning("The audit report could not be written: %s", error)


def _port(value: str) -> int:
    if not value.isdecimal():
        raise SettingsError(
            f"environment variable KUBERNETES_SERVICE_PORT={value!r} is wrong: Kubernetes sets it to a port number"
        )
    return int(value)


def _verdict(status: LogStatus) -> object:
    return (status.mount.verdict, status.mount.reason) if status.mount else None


def _failures(status: LogStatus) -> tuple[int, int, int]:
    return status.write_failures, status.emergency_events, status.lost_events


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311  # spreads load, keeps no secret
