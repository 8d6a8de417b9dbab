"""Settings come from arguments, the environment and defaults, in this order; a wrong one is named with its source."""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskbus import AuditLog, BusSettings, EventPriority, RiskEventBus, SettingsError
from riskbus.config_file import ConfigFile
from riskbus.variables import unknown_variables, warn_of_unknown_variables

Open = Callable[..., RiskEventBus]


def test_an_argument_wins_over_the_environment_and_that_over_the_default(
    open_bus: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code that names a value means it."""
    assert open_bus().settings.max_workers == 10
    monkeypatch.setenv("RISKBUS_MAX_WORKERS", "4")
    assert open_bus().settings.max_workers == 4
    assert open_bus(max_workers=10).settings.max_workers == 10


def test_the_environment_is_read() -> None:
    """These names stand in manifests."""
    settings = BusSettings.from_environment(
        {
            "RISKBUS_MAX_WORKERS": "4",
            "RISKBUS_ENABLE_LATENCY_MONITORING": "false",
            "RISKBUS_LATENCY_SLO_US": "critical=50, LOW=1e6",
            "RISKBUS_SLOW_SUBSCRIBER_SECONDS": "1.5m",
            "RISKBUS_CONFIG_FILE": "/etc/riskbus/riskbus.toml",
            "RISK_AUDIT_DURABILITY": "sync",
        }
    )
    assert settings.max_workers == 4
    assert settings.enable_latency_monitoring is False
    assert settings.latency_slo_us == {EventPriority.CRITICAL: 50.0, EventPriority.LOW: 1e6}
    assert settings.slow_subscriber_seconds == 90
    assert settings.config_file == Path("/etc/riskbus/riskbus.toml")
    assert settings.durability == "sync"


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("RISKBUS_MAX_WORKERS", "1", "greater than or equal to 2"),
        ("RISKBUS_MAX_WORKERS", "many", "valid integer"),
        ("RISKBUS_MAX_WORKERS", "1" + "0" * 20, "less than or equal to 100000"),
        ("RISKBUS_SLOW_SUBSCRIBER_SECONDS", "soon", "for example 24h"),
        ("RISKBUS_SLOW_SUBSCRIBER_SECONDS", "0", "greater than 0"),
        ("RISKBUS_SLOW_SUBSCRIBER_SECONDS", "36526d", "less than or equal to 3155760000"),
        ("RISKBUS_ENABLE_LATENCY_MONITORING", "perhaps", "valid boolean"),
        ("RISKBUS_LATENCY_SLO_US", "URGENT=5", "use CRITICAL, HIGH, NORMAL or LOW"),
        ("RISKBUS_LATENCY_SLO_US", "CRITICAL", "positive number of microseconds"),
        ("RISKBUS_LATENCY_SLO_US", "CRITICAL=-1", "positive number of microseconds"),
        ("RISKBUS_LATENCY_SLO_US", "CRITICAL=nan", "positive number of microseconds"),
        ("RISKBUS_LATENCY_SLO_US", "CRITICAL=inf", "positive number of microseconds"),
        ("RISKBUS_LATENCY_SLO_US", "CRITICAL=1e306", "at most 3155760000000000"),
        ("RISK_AUDIT_DURABILITY", "always", "'os', 'group' or 'sync'"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable(variable: str, value: str, allowed: str) -> None:
    """Whoever reads the message knows what to change, and to what."""
    with pytest.raises(SettingsError) as refused:
        BusSettings.from_environment({variable: value})
    assert f"environment variable {variable}={value!r}" in str(refused.value)
    assert allowed in str(refused.value)


@pytest.mark.parametrize("number", [float("inf"), float("nan"), 1e300, 10**400])
def test_a_number_that_no_clock_can_count_is_refused(number: float) -> None:
    """It would fail only where it becomes nanoseconds, after other settings had changed."""
    with pytest.raises(SettingsError, match="argument slow_subscriber_seconds="):
        BusSettings.from_environment({}, slow_subscriber_seconds=number)
    with pytest.raises(SettingsError, match=r"argument latency_slo_us=.*at most 3155760000000000"):
        BusSettings.from_environment({}, latency_slo_us={"HIGH": {"DURABLE": number}})


def test_a_wrong_argument_is_named_and_not_the_variable_that_it_hides() -> None:
    """Otherwise one looks in the wrong place."""
    with pytest.raises(SettingsError, match="argument max_workers='0'"):
        BusSettings.from_environment({"RISKBUS_MAX_WORKERS": "4"}, max_workers=0)


def test_a_bus_on_a_log_of_the_callers_own_has_that_logs_settings(open_bus: Open, path: Path) -> None:
    """One answer to the question where the records are."""
    with AuditLog(path) as log:
        bus = open_bus(audit_log=log, audit_log_path=None)
        assert bus.settings.path == log.settings.path


def test_a_variable_with_a_typing_error_is_told_of_once(
    open_bus: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It would have no effect, and nobody would notice; a line for each of a hundred buses helps nobody either."""
    monkeypatch.setenv("RISKBUS_MAX_WORKRES", "4")
    monkeypatch.setenv("RISK_AUDIT_DURABLITY", "sync")
    open_bus()
    open_bus()
    lines = [record.getMessage() for record in caplog.records if "no setting of riskbus" in record.getMessage()]
    assert lines == [
        "RISKBUS_MAX_WORKRES is no setting of riskbus and has no effect; did you mean RISKBUS_MAX_WORKERS?",
        "RISK_AUDIT_DURABLITY is no setting of riskbus and has no effect; did you mean RISK_AUDIT_DURABILITY?",
    ]


def test_what_kubernetes_sets_for_a_service_is_no_typing_error(caplog: pytest.LogCaptureFixture) -> None:
    """Each Service of the namespace puts seven variables into each pod, whatever it is called."""
    links = {
        "RISKBUS_SERVICE_HOST": "10.0.0.1",
        "RISKBUS_SERVICE_PORT": "80",
        "RISKBUS_SERVICE_PORT_HTTP": "80",
        "RISKBUS_PORT": "tcp://10.0.0.1:80",
        "RISKBUS_PORT_80_TCP": "tcp://10.0.0.1:80",
        "RISK_AUDIT_PORT_80_TCP_ADDR": "10.0.0.1",
        "PATH": "/usr/bin",
    }
    warn_of_unknown_variables(links)
    assert caplog.records == []
    assert [each.variable for each in unknown_variables(links | {"RISKBUS_FOO": ""})] == ["RISKBUS_FOO"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("durability = 5 5", "is not TOML: .*line 1"),
        ("\x00", "is not TOML"),
        ("a = " + "[" * 100_000, "is not TOML"),
        ("a = 1\n" * 200_000, "is longer than 1048576 bytes"),
    ],
)
def test_a_file_that_cannot_be_read_as_settings_says_so_once(tmp_path: Path, content: str, message: str) -> None:
    """It is read each second."""
    file = ConfigFile(tmp_path / "riskbus.toml")
    file.path.write_text(content)
    with pytest.raises(SettingsError, match=f"file {file.path} {message}"):
        file.read()
    assert file.read() is None


def test_a_file_that_is_not_there_says_so_once_and_is_read_when_it_comes(tmp_path: Path) -> None:
    """A ConfigMap may be mounted late."""
    file = ConfigFile(tmp_path / "riskbus.toml")
    with pytest.raises(SettingsError, match="No such file"):
        file.read()
    assert file.read() is None
    file.path.write_text("max_workers = 4")
    assert file.read() == {"max_workers": 4}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('durability = "always"', "key durability='always' is wrong: .* 'os', 'group' or 'sync'"),
        ("durabillity = 1", "key durabillity='1' is wrong: there is no setting of this name"),
        ("latency_slo_us = {URGENT = 5}", "key latency_slo_us=.* use CRITICAL, HIGH, NORMAL or LOW"),
    ],
)
def test_a_wrong_value_in_the_file_is_named_with_file_and_key_and_the_bus_starts_without_it(
    open_bus: Open, config_map: Any, caplog: pytest.LogCaptureFixture, content: str, message: str
) -> None:
    """A pod that is restarted at night must not fail for a ConfigMap that was broken in the evening."""
    config_map.update(content)
    with caplog.at_level(logging.ERROR, "riskbus.bus"):
        bus = open_bus()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"file {config_map.file}, ")
    assert re.search(message, line)
    assert bus.statistics().configuration.failures == 1
    assert bus.settings.durability == "group"
