"""A mounted ConfigMap changes the settings of a running bus, and cannot break it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskbus import EventPriority, RiskEvent, RiskEventBus

Open = Callable[..., RiskEventBus]
Changes = Callable[[RiskEventBus], list[dict[str, Any]]]
Until = Callable[[Callable[[], object]], bool]
Metric = Callable[[str], float]

SLO_20 = "latency_slo_us = {HIGH = 20}\n"


def objectives(bus: RiskEventBus) -> dict[str, object]:
    """The objectives by the names of their priorities."""
    return {priority.name: microseconds for priority, microseconds in bus.settings.latency_slo_us.items()}


def test_what_the_file_says_at_the_start_holds_from_the_start(
    open_bus: Open, config_map: Any, changes: Changes
) -> None:
    """A restarted pod is configured like one that has run for weeks."""
    config_map.update(SLO_20 + 'max_workers = 3\nrotation_max_size = "1Mi"')
    bus = open_bus()
    assert objectives(bus) == {"HIGH": 20.0}
    assert (bus.settings.max_workers, bus.audit_log.settings.rotation_max_size) == (3, 1 << 20)
    assert changes(bus) == []


def test_an_exchanged_config_map_changes_the_settings_and_is_recorded(
    open_bus: Open, config_map: Any, changes: Changes, until: Until, metric: Metric
) -> None:
    """The link is exchanged above the file, so no watch on the file itself would see it."""
    bus = open_bus(latency_slo_us={EventPriority.LOW: 5})
    config_map.update(SLO_20)
    assert until(lambda: objectives(bus) == {"HIGH": 20.0})
    (change,) = changes(bus)
    assert change["origin"] == f"file {config_map.file}"
    assert change["changes"] == {"latency_slo_us": {"before": {"LOW": 5.0}, "after": {"HIGH": 20.0}}}
    assert metric("riskbus_config_changes_total") == 1


def test_a_setting_that_the_file_no_longer_names_goes_back(open_bus: Open, config_map: Any, until: Until) -> None:
    """To what the program started with."""
    config_map.update(SLO_20)
    bus = open_bus(latency_slo_us={EventPriority.LOW: 5})
    assert objectives(bus) == {"HIGH": 20.0}
    config_map.update("# nothing\n")
    assert until(lambda: objectives(bus) == {"LOW": 5.0})


def test_the_latest_word_counts(open_bus: Open, config_map: Any, until: Until) -> None:
    """A call after the file, and the file after the call."""
    bus = open_bus()
    config_map.update(SLO_20)
    assert until(lambda: objectives(bus) == {"HIGH": 20.0})
    bus.reconfigure(latency_slo_us={"HIGH": 30})
    config_map.update(SLO_20 + "slow_subscriber_seconds = 7\n")
    assert until(lambda: bus.settings.slow_subscriber_seconds == 7)
    assert objectives(bus) == {"HIGH": 30.0}
    config_map.update("latency_slo_us = {HIGH = 40}\n")
    assert until(lambda: objectives(bus) == {"HIGH": 40.0})


@pytest.mark.parametrize(
    "broken",
    [
        "latency_slo_us = {HIGH =",
        "latency_slo_us = {HIGH = -1}",
        "latency_slo_us = {HIGH = 1e306}",
        "slow_subscriber_seconds = 1e300",
        "nonsense = 1",
        SLO_20 + "staging_size = 1048576",
    ],
)
def test_a_broken_file_changes_nothing_is_logged_once_and_counted(  # noqa: PLR0913, PLR0917 -- its witnesses
    open_bus: Open, config_map: Any, until: Until, metric: Metric, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    """Trading goes on, and somebody is told."""
    config_map.update("latency_slo_us = {HIGH = 10}\n")
    bus = open_bus()
    config_map.update(broken)
    assert until(lambda: metric("riskbus_config_reload_failures_total") == 1)
    assert objectives(bus) == {"HIGH": 10.0}
    receipt = bus.publish(RiskEvent("LIMIT_BREACH", EventPriority.CRITICAL, "tests"))
    assert receipt.wait_durable(10)
    config_map.update("latency_slo_us = {HIGH = 11}\n")
    assert until(lambda: objectives(bus) == {"HIGH": 11.0})
    assert metric("riskbus_config_reload_failures_total") == 1
    (line,) = [record.getMessage() for record in caplog.records if record.name == "riskbus.bus"]
    assert str(config_map.file) in line
    assert "the configuration stays as it was" in line


def test_a_failure_that_nobody_foresaw_is_logged_and_the_next_content_is_followed(
    open_bus: Open, config_map: Any, until: Until, metric: Metric, caplog: pytest.LogCaptureFixture
) -> None:
    """A thread that ended of it would leave every later change of the file without effect, in silence."""
    bus = open_bus()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bus.audit_log, "adopt", lambda *_: 1 / 0)
        config_map.update("latency_slo_us = {HIGH = 10}\n")
        assert until(lambda: metric("riskbus_config_reload_failures_total") == 1)
    config_map.update(SLO_20)
    assert until(lambda: objectives(bus) == {"HIGH": 20.0})
    (line,) = [record for record in caplog.records if record.name == "riskbus.bus"]
    assert str(config_map.file) in line.getMessage()
    assert line.exc_info is not None


def test_a_file_that_vanishes_changes_nothing(open_bus: Open, config_map: Any, until: Until) -> None:
    """A volume that is unmounted is an accident, not a decision."""
    config_map.update(SLO_20)
    bus = open_bus()
    config_map.file.unlink()
    assert until(lambda: bus.statistics().configuration.failures == 1)
    assert objectives(bus) == {"HIGH": 20.0}


def test_a_plain_file_that_is_written_over_is_seen_as_well(
    open_bus: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    """Outside Kubernetes; also when size and time stay the same."""
    file = tmp_path / "riskbus.toml"
    file.write_text("latency_slo_us = {HIGH = 20}\n")
    monkeypatch.setenv("RISKBUS_CONFIG_FILE", str(file))
    bus = open_bus()
    known = file.stat()
    file.write_text("latency_slo_us = {HIGH = 21}\n")
    os.utime(file, ns=(known.st_atime_ns, known.st_mtime_ns))
    assert until(lambda: objectives(bus) == {"HIGH": 21.0})


def test_the_child_of_a_fork_watches_too(open_bus: Open, config_map: Any, until: Until) -> None:
    """A prefork server's workers are the ones that trade."""
    bus = open_bus()
    ready, told = os.pipe()
    if not (child := os.fork()):
        os.write(told, b"1")
        os._exit(0 if until(lambda: objectives(bus) == {"HIGH": 20.0}) else 1)
    assert os.read(ready, 1)
    config_map.update(SLO_20)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
