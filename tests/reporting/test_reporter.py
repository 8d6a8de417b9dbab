"""The reporter keeps the report current, explains what is in its way, and never harms the workload."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from riskbus import AuditLog, SettingsError, report
from riskbus.mount import Reason, Verdict
from riskbus.report import Reporter
from riskbus.settings import AuditSettings
from riskbus.status import LogStatus

Begin = Callable[..., Reporter]
PodFiles = dict[str, Any]


@dataclass
class Subject:
    """The log that is reported on; a test changes it."""

    status: LogStatus


@pytest.fixture
def subject(status: LogStatus) -> Subject:
    """A log that is well."""
    return Subject(status)


@pytest.fixture
def pod_files(environ: dict[str, str], service_account: Path) -> PodFiles:
    """What Kubernetes gives a pod."""
    return {"environ": environ, "service_account": service_account}


@pytest.fixture
def begin(
    subject: Subject,
    api: Any,
    pod_files: PodFiles,
    registry: CollectorRegistry,
    settings: AuditSettings,
) -> Iterator[Callable[..., Reporter]]:
    """Start a reporter with these settings; it ends before the server does, and leaves no connection half open."""
    started: list[Reporter] = []

    def begin_one(**changed: Any) -> Reporter:
        reporter = report.start(
            lambda: subject.status,
            settings.model_copy(update=changed),
            registry=registry,
            **pod_files,
        )
        assert reporter is not None
        started.append(reporter)
        return reporter

    yield begin_one
    if api.hang is not None:
        api.hang.set()
    for reporter in started:
        reporter.close(15)


def test_the_first_report_is_written_at_once(begin: Begin, api: Any, service_account: Path) -> None:
    """A policy turns Ready when its pods report, so nobody should have to wait for an interval."""
    begin()
    assert api.wait_for(1)
    (request,) = api.requests
    assert request.method == "PATCH"
    assert request.path == (
        "/apis/riskbus.io/v1alpha1/namespaces/trading/riskauditreports/jules-0?fieldManager=riskbus&force=true"
    )
    assert request.headers["Content-Type"] == "application/apply-patch+yaml"
    assert request.headers["Authorization"] == f"Bearer {(service_account / 'token').read_text()}"
    assert request.body["mount"]["verdict"] == "Valid"


def test_a_verdict_that_changes_is_reported_at_once(begin: Begin, api: Any, subject: Subject) -> None:
    """A volume that turned read-only must not look valid until the next interval."""
    begin()
    assert api.wait_for(1)
    assert subject.status.mount is not None
    mount = replace(subject.status.mount, verdict=Verdict.INVALID, reason=Reason.READ_ONLY)
    subject.status = replace(subject.status, mount=mount)
    assert api.wait_for(2)
    assert api.requests[1].body["mount"]["reason"] == "ReadOnly"


def test_new_failures_are_reported_before_the_interval_is_over(begin: Begin, api: Any, subject: Subject) -> None:
    """Lost evidence is news."""
    begin()
    assert api.wait_for(1)
    subject.status = replace(subject.status, lost_events=4)
    assert api.wait_for(2)
    assert api.requests[1].body["failures"]["lostEvents"] == 4


def test_the_report_is_renewed_at_each_interval(begin: Begin, api: Any, subject: Subject) -> None:
    """A report that gets old is how a dead pod is noticed."""
    begin(report_interval=1)
    assert api.wait_for(1)
    subject.status = replace(subject.status, seq=100, durable_seq=100)
    assert api.wait_for(3)
    assert api.requests[2].body["log"]["durableSeq"] == 100


def test_another_interval_holds_at_once(begin: Begin, api: Any) -> None:
    """Who wants to see more now does not wait for the old interval to end."""
    reporter = begin(report_interval=3600)
    assert api.wait_for(1)
    reporter.adopt(AuditSettings(policy="intraday", container="jules", report_interval=1))
    assert api.wait_for(3)


def test_a_renewed_token_is_used(begin: Begin, api: Any, service_account: Path, token: Callable[..., str]) -> None:
    """The kubelet replaces the token every hour or so, and the old one expires."""
    begin(report_interval=1)
    assert api.wait_for(1)
    claims = {"namespace": "trading", "pod": {"name": "jules-0", "uid": "u"}, "serviceaccount": {"name": "a"}}
    renewed = token({"kubernetes.io": claims, "exp": 1})
    (service_account / "token").write_text(renewed)
    assert api.wait_for(4)
    assert api.requests[3].headers["Authorization"] == f"Bearer {renewed}"


@pytest.mark.parametrize(
    "refusal",
    [
        (401, "unauthorized", "was not accepted"),
        (403, "forbidden", "no RiskAuditPolicy grants service account intraday-jules in namespace trading"),
        (404, "not_found", "install the riskbus operator with its CRDs"),
        (422, "invalid", "versions match"),
        (500, "failed", "tried again"),
    ],
)
def test_a_refusal_is_explained_and_counted(
    subject: Subject, api: Any, pod_files: PodFiles, caplog: pytest.LogCaptureFixture, refusal: tuple[int, str, str]
) -> None:
    """One sentence tells the team what to do."""
    code, reason, advice = refusal
    api.refuse(code, "the server's own words")
    registry = CollectorRegistry()
    reporter = report.start(lambda: subject.status, AuditSettings(), registry=registry, **pod_files)
    assert reporter is not None
    assert api.wait_for(1)
    reporter.close(5)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "riskbus.report"]
    assert advice in line
    assert "the server's own words" in line
    assert (registry.get_sample_value("audit_report_failures_total", {"reason": reason}) or 0) >= 1


def test_a_refused_report_is_tried_again_soon(begin: Begin, api: Any, registry: CollectorRegistry) -> None:
    """A policy often comes seconds after its pod; the report must not wait for an interval then."""
    api.refuse(403, "forbidden")
    begin()
    assert api.wait_for(1)
    api.status = 200
    assert api.wait_for(2)
    assert registry.get_sample_value("audit_report_failures_total", {"reason": "forbidden"}) == 1


def test_an_api_server_that_cannot_be_reached_is_explained(
    begin: Begin, environ: dict[str, str], registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """A NetworkPolicy without egress to the API server is the usual cause."""
    environ["KUBERNETES_SERVICE_PORT"] = "1"
    begin().close(5)
    assert "check NetworkPolicies" in caplog.text
    assert (registry.get_sample_value("audit_report_failures_total", {"reason": "unreachable"}) or 0) >= 1


def test_an_api_server_of_another_authority_gets_no_token(
    begin: Begin,
    api: Any,
    service_account: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A bearer token given to an impostor is a stolen identity."""
    other = Path("/etc/ssl/certs/ca-certificates.crt")
    (service_account / "ca.crt").write_bytes(other.read_bytes())
    begin().close(5)
    assert api.requests == []
    assert "CERTIFICATE_VERIFY_FAILED" in caplog.text


def test_an_api_server_that_hangs_delays_closing_no_longer_than_asked(begin: Begin, api: Any) -> None:
    """The pod's grace period belongs to the workload."""
    api.hang = threading.Event()
    reporter = begin()
    assert api.wait_for(1)
    closed = threading.Event()

    def close() -> None:
        reporter.close(0.1)
        closed.set()

    threading.Thread(target=close).start()
    assert closed.wait(10)
    assert not api.hang.is_set()


def test_closing_reports_once_more(begin: Begin, api: Any, subject: Subject) -> None:
    """The last report says how far the log got."""
    reporter = begin()
    assert api.wait_for(1)
    subject.status = replace(subject.status, durable_seq=41)
    reporter.close(5)
    assert api.requests[-1].body["log"]["durableSeq"] == 41


@pytest.mark.parametrize("missing", ["host", "token", "mode"])
def test_outside_kubernetes_or_switched_off_there_is_no_reporter(
    subject: Subject, pod_files: PodFiles, missing: str
) -> None:
    """A developer's machine has nothing to report to, and nothing to warn about."""
    if missing == "host":
        del pod_files["environ"]["KUBERNETES_SERVICE_HOST"]
    if missing == "token":
        (pod_files["service_account"] / "token").unlink()
    settings = AuditSettings(report="off" if missing == "mode" else "auto")
    assert report.start(lambda: subject.status, settings, **pod_files) is None


def test_a_port_that_is_none_is_refused_with_its_source(subject: Subject, pod_files: PodFiles) -> None:
    """Somebody set it by hand."""
    pod_files["environ"]["KUBERNETES_SERVICE_PORT"] = "https"
    with pytest.raises(SettingsError, match="KUBERNETES_SERVICE_PORT='https'"):
        report.start(lambda: subject.status, AuditSettings(), **pod_files)


def test_a_real_log_is_reported_as_it_is(
    api: Any, pod_files: PodFiles, registry: CollectorRegistry, tmp_path: Path
) -> None:
    """From the volume's verdict to the newest checkpoint: what the report says is what the log's status says."""
    log = AuditLog(tmp_path / "audit" / "risk_audit.jsonl", registry=registry)
    assert log.wait_ready(10)
    reporter = report.start(log.status, log.settings, registry=registry, **pod_files)
    assert reporter is not None
    assert api.wait_for(1)
    log.close(5)
    reporter.close(5)
    last, now = api.requests[-1].body, log.status()
    assert now.mount is not None
    assert last["mount"]["message"] == now.mount.message
    assert last["log"] == {
        "incarnation": now.incarnation,
        "seq": now.seq,
        "durableSeq": now.durable_seq,
        "checkpoint": now.checkpoint,
        "publicKey": now.public_key,
    }
    assert now.durable_seq == now.seq > 0


def test_a_volume_without_a_verdict_is_waited_for(begin: Begin, api: Any, subject: Subject) -> None:
    """Nobody should be alarmed by the first milliseconds of a pod's life."""
    mount = subject.status.mount
    subject.status = replace(subject.status, mount=None)
    begin()
    assert not api.wait_for(1, timeout=0.3)
    subject.status = replace(subject.status, mount=mount)
    assert api.wait_for(1)
    assert api.requests[0].body["mount"]["verdict"] == "Valid"
