"""pytest finds the fixtures by itself, and riskbus does without pytest."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

from riskbus import EventPriority, RiskEvent
from riskbus.testing import FakeClock, MemoryAuditLog, RecordingBus

DOC = Path(__file__).parents[2] / "docs" / "testing.md"


def test_the_bus_the_log_and_the_clock_belong_together(
    risk_bus: RecordingBus, risk_audit_log: MemoryAuditLog, fake_clock: FakeClock
) -> None:
    """What is published on the one is in the other, at the time of the third."""
    fake_clock.advance(1.5)
    risk_bus.publish(RiskEvent("THROTTLE", EventPriority.LOW, "tests", timestamp_ns=fake_clock()))
    assert risk_audit_log.events()[0]["timestamp_ns"] == risk_bus.events[0].timestamp_ns == fake_clock()


def test_each_test_gets_its_own(risk_bus: RecordingBus, risk_audit_log: MemoryAuditLog) -> None:
    """Tests run in any order."""
    assert risk_bus.audit_log is risk_audit_log
    assert risk_bus.events == []
    assert risk_audit_log.events() == []


def test_the_example_of_the_documentation_runs_in_a_project_of_its_own(tmp_path: Path) -> None:
    """No conftest, no import of the plugin: what a user has after `pip install`."""
    text = DOC.read_text()
    example = text.partition("```python\n")[2].partition("```")[0]
    (tmp_path / "test_example.py").write_text(example)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "test_example.py"]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_nothing_else_of_riskbus_needs_pytest() -> None:
    """It is no dependency: production images do not have it."""
    program = "import sys, riskbus, riskbus.testing, riskbus.cli; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


def test_the_plugin_is_declared() -> None:
    """If this fails, the environment is older than pyproject.toml: run `make venv`."""
    assert [found.value for found in entry_points(group="pytest11", name="riskbus")] == ["riskbus.testing.plugin"]
