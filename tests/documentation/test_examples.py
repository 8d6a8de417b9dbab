"""What the documentation shows works when it is copied."""

import re
from pathlib import Path
from textwrap import dedent

import pytest

from docs.tables import DOCS
from riskbus.testing import RecordingBus, read_events

PAGES = [DOCS / "bus.md", DOCS / "configuration.md", DOCS / "events.md", DOCS / "sensors.md"]


def run_examples(path: Path, known: dict[str, object]) -> None:
    """Run every Python example of a page, one after the other."""
    examples = re.findall(r"^ *```python\n(.*?)^ *```", path.read_text(), re.DOTALL | re.MULTILINE)
    assert examples
    for example in examples:
        exec(compile(dedent(example), str(path), "exec"), known)  # noqa: S102 -- our own page


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_examples_of_a_page_run(path: Path, risk_bus: RecordingBus) -> None:
    """The first thing that a reader does."""
    run_examples(path, {"bus": risk_bus})
    assert risk_bus.statistics().incomplete == {}


def test_the_first_example_of_the_readme_leaves_complete_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What everybody sees first must not be warned of."""
    log = tmp_path / "audit" / "risk_audit.jsonl"
    monkeypatch.setenv("RISK_AUDIT_LOG_PATH", str(log))
    run_examples(DOCS.parent / "README.md", {})
    (record,) = read_events(log)
    assert record["event_type"] == "KILL_SWITCH"
    assert not [line for line in caplog.records if line.name == "riskbus.bus"]
