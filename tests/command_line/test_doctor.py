"""`riskbus doctor` says what to do before trading starts."""

import json
from pathlib import Path

import pytest

from riskbus.cli import main


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine sets, the test does not."""
    monkeypatch.delenv("RISK_AUDIT_LOG_PATH", raising=False)


def test_a_place_that_loses_records_is_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, with the reason and the remedy."""
    assert main(["doctor", "--path", "/dev/shm/risk_audit.jsonl"]) == 1  # noqa: S108 -- the test wants exactly this
    out = capsys.readouterr().out
    assert "FAIL  mount        Invalid/EphemeralTmpfs" in out
    assert "mount a PersistentVolumeClaim" in out
    assert out.endswith("This place is not fit for an audit log.\n")


def test_a_wrong_setting_is_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the workload finds it."""
    monkeypatch.setenv("RISK_AUDIT_DURABILITY", "always")
    assert main(["doctor"]) == 1
    assert "FAIL  environment  environment variable RISK_AUDIT_DURABILITY='always' is wrong" in capsys.readouterr().out


def test_a_path_that_nobody_set_is_pointed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fallback is for laptops."""
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 1


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """For init containers and dashboards."""
    main(["doctor", "--json", "--path", "/dev/shm/risk_audit.jsonl"])  # noqa: S108 -- the test wants exactly this
    document = json.loads(capsys.readouterr().out)
    assert document["fit"] is False
    assert [check["name"] for check in document["checks"]] == ["environment", "mount", "space", "clock", "report"]
