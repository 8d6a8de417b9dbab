"""The chart's files agree with each other and with the project."""

import json
from importlib.metadata import version
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from charts.readme import CHART, described, readme

VALUES = (CHART / "values.yaml").read_text()
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def test_the_readme_describes_the_values_as_they_are() -> None:
    """A table that is behind is worse than none."""
    written = (CHART / "README.md").read_text()

    assert written == readme(written, VALUES), "run: python charts/readme.py"


def test_every_value_is_described() -> None:
    """What has no comment is in no table."""
    described_paths = [path for path, _, _ in described(VALUES)]

    silent = [
        path for path in _leaves(yaml.safe_load(VALUES)) if not any(path.startswith(known) for known in described_paths)
    ]
    assert silent == []


def _leaves(tree: dict[str, Any], prefix: str = "") -> list[str]:
    leaves: list[str] = []
    for key, value in tree.items():
        path = f"{prefix}{key}"
        leaves += _leaves(value, f"{path}.") if isinstance(value, dict) and value else [path]
    return leaves


def test_every_value_is_in_the_schema_and_the_schema_knows_no_other() -> None:
    """A closed schema that forgets a value makes the value impossible to set."""
    Draft7Validator.check_schema(SCHEMA)
    Draft7Validator(SCHEMA).validate(yaml.safe_load(VALUES))

    assert SCHEMA["properties"].keys() - {"global"} == yaml.safe_load(VALUES).keys()


@pytest.mark.parametrize("field", ["version", "appVersion"])
def test_the_chart_has_the_version_of_the_project(field: str) -> None:
    """The chart's default image tag is its appVersion."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert chart[field] == version("riskbus")
