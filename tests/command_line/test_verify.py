"""`riskbus verify` as an auditor uses it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from riskbus.cli import main
from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A finished log of three events."""
    directory = tmp_path / "audit"
    settings = AuditSettings.from_environment(path=directory / "risk_audit.jsonl", stream="trading/jules")
    with AuditLog(settings=settings, registry=CollectorRegistry()) as log:
        for number in range(3):
            log.append(RiskEvent(EventType.OVERRIDE, EventPriority.HIGH, "desk", {"number": number}))
    return directory


@pytest.fixture
def segment(directory: Path) -> Path:
    """Its segment."""
    return directory / (directory / "risk_audit.jsonl").readlink()


@pytest.fixture
def run() -> Run:
    """Run the command as a process of its own."""

    def riskbus(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "riskbus", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return riskbus


def test_a_good_log(run: Run, directory: Path) -> None:
    """The result can be read aloud."""
    ended = run("verify", directory)
    assert ended.returncode == 0
    assert ended.stderr == ""
    for words in ("3 are events", "integrity:     intact", "completeness:  complete", "authenticity:  sealed"):
        assert words in ended.stdout
    assert "unsealed rest: none" in ended.stdout
    assert ended.stdout.endswith("Nothing is wrong. (exit code 0)\n")


def test_tampering(run: Run, directory: Path, segment: Path) -> None:
    """Exit code 1, and the place."""
    segment.write_bytes(segment.read_bytes().replace(b'"number":1', b'"number":7'))
    ended = run("verify", directory)
    assert ended.returncode == 1
    assert f"tampering, altered: the record does not match its hash [{segment.name}, line " in ended.stdout
    assert "integrity:     TAMPERED WITH (1 finding)" in ended.stdout


def test_damage(run: Run, directory: Path, segment: Path) -> None:
    """Exit code 2."""
    segment.write_bytes(segment.read_bytes()[:-1])
    assert run("verify", directory).returncode == 2


def test_nothing_to_verify(run: Run, tmp_path: Path) -> None:
    """Exit code 3."""
    ended = run("verify", tmp_path)
    assert ended.returncode == 3
    assert "There is no audit log in" in ended.stdout


@pytest.mark.parametrize(
    "arguments", [[], ["verify"], ["verify", "/nonexistent"], ["verify", ".", "--anchor", "/nonexistent"], ["vrfy"]]
)
def test_wrong_usage(run: Run, arguments: list[str]) -> None:
    """Exit code 64, one sentence, no traceback."""
    ended = run(*arguments)
    assert ended.returncode == 64
    assert "riskbus" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_json(run: Run, directory: Path, segment: Path) -> None:
    """Machines get everything that people get."""
    segment.write_bytes(segment.read_bytes().replace(b'"number":1', b'"number":7'))
    document = json.loads(run("verify", directory, "--json").stdout)
    assert document["exit_code"] == 1
    (stream,) = document["streams"]
    assert stream["incarnations"][0]["events"] == 3
    (finding,) = stream["findings"]
    assert finding["kind"] == "altered"
    assert finding["severity"] == "tampering"
    assert finding["file"] == segment.name
    assert {"line", "seq", "byte", "message", "dimension", "incarnation"} <= set(finding)


def test_anchors_from_the_output_of_a_container(run: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What `kubectl logs --timestamps` gives is what --anchor takes."""
    settings = AuditSettings.from_environment(path=tmp_path / "a" / "risk_audit.jsonl")
    with AuditLog(settings=settings, registry=CollectorRegistry()) as log:
        log.append(RiskEvent(EventType.OVERRIDE, EventPriority.HIGH, "desk"))
    anchor = tmp_path / "pod.log"
    out = capfd.readouterr().out
    anchor.write_text("".join(f"2026-01-15T14:30:25Z stdout F {line}\n" for line in ["hello", *out.splitlines()]))
    ended = run("verify", tmp_path / "a", "--anchor", anchor)
    assert ended.returncode == 0
    assert "anchoring:     confirmed; anchors and successors prove" in ended.stdout
    segment = tmp_path / "a" / (tmp_path / "a" / "risk_audit.jsonl").readlink()
    segment.write_bytes(b"".join(segment.read_bytes().splitlines(keepends=True)[:1]))
    ended = run("verify", tmp_path / "a", "--anchor", anchor)
    assert ended.returncode == 1
    assert "tampering, truncated" in ended.stdout


def test_anchors_from_reports_and_notes(run: Run, tmp_path: Path) -> None:
    """`kubectl get riskauditreports -o json`, or a bare signed note."""
    settings = AuditSettings.from_environment(path=tmp_path / "a" / "risk_audit.jsonl")
    with AuditLog(settings=settings, registry=CollectorRegistry()) as log:
        log.append(RiskEvent(EventType.OVERRIDE, EventPriority.HIGH, "desk"))
    status = log.status()
    report = {
        "items": [{"kind": "RiskAuditReport", "log": {"checkpoint": status.checkpoint, "publicKey": status.public_key}}]
    }
    (tmp_path / "reports.json").write_text(json.dumps(report))
    (tmp_path / "note").write_text(status.checkpoint)
    assert run("verify", tmp_path / "a", "--anchor", tmp_path / "reports.json").returncode == 0
    assert run("verify", tmp_path / "a", "--anchor", tmp_path / "note").returncode == 0
    (tmp_path / "empty").write_text("nothing here\n")
    ended = run("verify", tmp_path / "a", "--anchor", tmp_path / "empty")
    assert ended.returncode == 64
    assert "holds no anchor" in ended.stderr


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    """The exit codes are a contract, and stand where people look."""
    with pytest.raises(SystemExit) as ended:
        main(["verify", "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    for words in ("0   fine", "1   tampering", "2   damage", "3   cannot decide", "4   intact, with gaps", "--anchor"):
        assert words in out
