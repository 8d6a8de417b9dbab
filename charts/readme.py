"""Bring the table of values in the chart's README up to date with the comments in values.yaml.

Run `python charts/readme.py`. A value is described by the comment `# -- ...` above it.
"""  # noqa: INP001 - a program beside the chart, not a package

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "riskbus-operator"
_TABLE = re.compile(r"(?<=<!-- values -->\n).*?(?=<!-- /values -->)", re.DOTALL)


def readme(readme: str, values: str) -> str:
    """The README with its table made anew from the text of values.yaml."""
    rows = [f"| `{path}` | {text} | `{default}` |\n" for path, text, default in described(values)]
    table = "| value | what it does | default |\n|---|---|---|\n" + "".join(rows)
    return _TABLE.sub(lambda _: table, readme)


def described(values: str) -> Iterator[tuple[str, str, str]]:
    """Path, description and default (as JSON) of every value with a comment, in the order of the file."""
    tree = yaml.safe_load(values)
    path: list[str] = []
    text = ""
    for line in values.splitlines():
        if comment := re.fullmatch(r" *# -- (.*)", line):
            text = comment[1]
        elif key := re.match(r"( *)(\w+):", line):
            path[len(key[1]) // 2 :] = [key[2]]
            if text:
                yield ".".join(path), text, json.dumps(_at(tree, path))
            text = ""


def _at(tree: Any, path: list[str]) -> Any:  # noqa: ANN401 - any YAML
    for key in path:
        tree = tree[key]
    return tree


if __name__ == "__main__":
    target = CHART / "README.md"
    target.write_text(readme(target.read_text(), (CHART / "values.yaml").read_text()))
