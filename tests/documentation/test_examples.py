"""What the documentation shows works when it is copied."""

import re
from pathlib import Path

import pytest

from docs.tables import DOCS
from riskbus.testing import RecordingBus

PAGES = [DOCS / "bus.md", DOCS / "configuration.md", DOCS / "events.md", DOCS / "sensors.md"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_examples_of_a_page_run(path: Path, risk_bus: RecordingBus) -> None:
    """The first thing that a reader does."""
    examples = re.findall(r"^```python\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)
    assert examples
    known: dict[str, object] = {"bus": risk_bus}
    for example in examples:
        exec(compile(example, str(path), "exec"), known)  # noqa: S102 -- our own page
    assert risk_bus.statistics().incomplete == {}
