"""Both verifiers over one directory, which must say the same."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from riskbus.cli.verify import as_document
from riskbus.errors import FormatError
from riskbus.format.anchors import parse_anchors
from riskbus.store.verification import verify_tree
from tools import verify_audit

Document = dict[str, Any]
Agree = Callable[..., Document]


def first_verdict(directory: Path, anchors: bytes = b"") -> Document:
    """What `riskbus verify --json` says."""
    try:
        parsed = parse_anchors(anchors, "anchors") if anchors else []
    except FormatError:
        return {"exit_code": 64}
    report = verify_tree(directory, parsed, lambda _: None)
    document: Document = json.loads(orjson.dumps(as_document(report, int(report.worst or 0))))
    return document


def second_verdict(directory: Path, anchors: bytes = b"") -> Document:
    """What `verify_audit.py --json` says."""
    try:
        parsed = verify_audit.parse_anchors(anchors, "anchors") if anchors else []
    except verify_audit.UsageError:
        return {"exit_code": 64}
    return verify_audit.verify([str(directory)], parsed)


def comparable(document: Document) -> Document:
    """Everything but the words, with findings in one order."""

    def plain(findings: list[Document]) -> list[Document]:
        without = [{name: value for name, value in finding.items() if name != "message"} for finding in findings]
        return sorted(without, key=lambda finding: json.dumps(finding, sort_keys=True))

    streams = [stream | {"findings": plain(stream["findings"])} for stream in document.get("streams", [])]
    return document | {"streams": streams, "strays": plain(document.get("strays", []))}


@pytest.fixture
def agree() -> Agree:
    """Verify with both, insist that they agree, and return what they say."""

    def run(directory: Path, anchors: bytes = b"") -> Document:
        first, second = first_verdict(directory, anchors), second_verdict(directory, anchors)
        assert comparable(first) == comparable(second)
        return first

    return run


def kinds(document: Document) -> set[str]:
    """The kinds of the findings."""
    found = [finding for stream in document["streams"] for finding in stream["findings"]] + document["strays"]
    return {finding["kind"] for finding in found}
