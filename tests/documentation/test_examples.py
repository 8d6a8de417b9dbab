"""What the documentation shows works when it is copied."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.tables import DOCS
from riskbus.testing import RecordingBus

PAGES = [DOCS / "configuration.md", DOCS / "events.md", DOCS / "sensors.md"]


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[RecordingBus]:
    """The bus that the pages speak of."""
    with RecordingBus(tmp_path / "audit" / "risk_audit.jsonl") as recording:
        yield recording


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_examples_of_a_page_run(path: Path, bus: RecordingBus) -> None:
    """The first thing that a reader does."""
    examples = re.findall(r"^```python\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)
    assert examples
    known: dict[str, object] = {"bus": bus}
    for example in examples:
        exec(compile(example, str(path), "exec"), known)  # noqa: S102 -- our own page
    assert bus.statistics().incomplete == {}
