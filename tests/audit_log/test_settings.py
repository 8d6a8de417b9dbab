"""Settings come from the environment, and a wrong one is named with its source."""

from pathlib import Path

import pytest

from riskbus.errors import RiskBusError, SettingsError
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings, Durability


def test_everything_has_a_default() -> None:
    """A workload without any setting still keeps a log."""
    settings = AuditSettings.from_environment({})
    assert settings.path == Path("logs/risk_audit.jsonl")
    assert settings.durability is Durability.GROUP


def test_the_environment_is_read() -> None:
    """These names are what the operator injects."""
    settings = AuditSettings.from_environment(
        {
            "RISK_AUDIT_LOG_PATH": "/var/log/intraday-jules/risk_audit.jsonl",
            "RISK_AUDIT_DURABILITY": "Group",
            "RISK_AUDIT_ROTATION_MAX_SIZE": "256Mi",
            "RISK_AUDIT_ROTATION_MAX_AGE": "24h",
            "RISK_AUDIT_REPORT_INTERVAL": "60s",
            "POD_NAMESPACE": "trading",
        }
    )
    assert settings.path == Path("/var/log/intraday-jules/risk_audit.jsonl")
    assert settings.durability is Durability.GROUP
    assert settings.rotation_max_size == 256 << 20
    assert settings.rotation_max_age == 86400
    assert settings.report_interval == 60
    assert settings.stream_name() == "trading/intraday-jules/risk_audit"


def test_an_argument_wins_over_the_environment() -> None:
    """Code that names a path means it."""
    settings = AuditSettings.from_environment({"RISK_AUDIT_LOG_PATH": "/env/a.jsonl"}, path="/argument/b.jsonl")
    assert settings.path == Path("/argument/b.jsonl")


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("RISK_AUDIT_DURABILITY", "always", "'os', 'group' or 'sync'"),
        ("RISK_AUDIT_ROTATION_MAX_SIZE", "lots", "for example 256Mi"),
        ("RISK_AUDIT_ROTATION_MAX_SIZE", "1", "greater than or equal to 65536"),
        ("RISK_AUDIT_ROTATION_MAX_SIZE", "1073741825Gi", "less than or equal to 1152921504606846976"),
        ("RISK_AUDIT_ROTATION_MAX_AGE", "soon", "for example 24h"),
        ("RISK_AUDIT_ROTATION_MAX_AGE", "9" * 400, "finite number"),
        ("RISK_AUDIT_REPORT_INTERVAL", "9" * 400, "finite number"),
        ("RISK_AUDIT_ROTATION_KEEP", "1" + "0" * 20, "less than or equal to 1000000000"),
        ("RISK_AUDIT_ROTATION_COMPRESS", "zstd", "valid boolean"),
        ("RISK_AUDIT_ROTATION_KEEP", "0", "greater than or equal to 1"),
        ("RISK_AUDIT_RETENTION_DAYS", "0", "greater than or equal to 1"),
        ("RISK_AUDIT_RETENTION_DAYS", "5y", "valid integer"),
        ("RISK_AUDIT_SECOND_DIR", "second", "absolute path"),
        ("RISK_AUDIT_SECOND_DIR", str(Path("logs/").absolute()) + "/", "the log's own directory"),
        ("RISK_AUDIT_REPORT", "maybe", "'auto' or 'off'"),
        ("RISK_AUDIT_LOG_PATH", " ", "/var/log/intraday-jules/risk_audit.jsonl"),
        ("RISK_AUDIT_LOG_PATH", "/", "/var/log/intraday-jules/risk_audit.jsonl"),
        ("RISK_AUDIT_LOG_PATH", "/var/log/" + "x" * 200, "/var/log/intraday-jules/risk_audit.jsonl"),
        ("RISK_AUDIT_LOG_PATH", "/var/log/\udcff.jsonl", "valid UTF-8"),
        ("RISK_AUDIT_STREAM", "a b", "pattern"),
    ],
)
def test_a_wrong_value_is_named_with_its_source(variable: str, value: str, allowed: str) -> None:
    """Whoever reads the message knows what to change, and to what."""
    with pytest.raises(SettingsError) as refused:
        AuditSettings.from_environment({variable: value})
    message = str(refused.value)
    assert f"environment variable {variable}={value!r}" in message
    assert allowed in message


def test_every_wrong_value_is_named_at_once() -> None:
    """One restart should be enough to mend them all."""
    with pytest.raises(SettingsError, match=r"RISK_AUDIT_DURABILITY.*RISK_AUDIT_REPORT"):
        AuditSettings.from_environment({"RISK_AUDIT_DURABILITY": "x", "RISK_AUDIT_REPORT": "y"})


def test_a_wrong_setting_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Better not to start than to run with an audit log that nobody asked for."""
    monkeypatch.setenv("RISK_AUDIT_DURABILITY", "always")
    with pytest.raises(RiskBusError, match="RISK_AUDIT_DURABILITY"):
        AuditLog()


@pytest.mark.parametrize("character", ["\x1c", "\x85", "\x00", " ", "+"])
def test_a_stream_has_a_name_that_every_reader_of_checkpoints_takes_for_one(character: str) -> None:
    """Some end a line there, and would call an untouched log tampered."""
    with pytest.raises(SettingsError, match="stream"):
        AuditSettings.from_environment({}, stream=f"trading{character}jules")
    derived = AuditSettings.from_environment({}, path=Path(f"/audit/trading{character}jules/risk_audit.jsonl"))
    assert derived.stream_name().endswith("/trading-jules/risk_audit")


def test_what_the_environment_says_in_no_utf_8_is_escaped() -> None:
    """It stands in records, and one that cannot be made would keep the log from opening."""
    assert AuditSettings.from_environment({"RISK_AUDIT_POLICY": "p\udcff"}).policy == "p\\udcff"
