"""The test vectors in docs/vectors are what the format says, and what both verifiers say."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.agreement.conftest import comparable
from tests.agreement.vectors import SHOWN, write

VECTORS = Path(__file__).parents[2] / "docs" / "vectors"


def _contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_the_vectors_are_what_the_program_writes(tmp_path: Path) -> None:
    """After a change: python -m tests.agreement.vectors --write docs/vectors."""
    write(tmp_path)
    assert _contents(VECTORS) == _contents(tmp_path)


@pytest.mark.parametrize("name", SHOWN)
def test_both_verifiers_say_what_stands_beside_a_vector(name: str, agree: Callable[..., dict[str, Any]]) -> None:
    """A third one is right if it says the same."""
    anchors = VECTORS / name / "anchors.txt"
    document = comparable(agree(VECTORS / name / "log", anchors.read_bytes() if anchors.exists() else b""))
    for stream in document["streams"]:
        stream["directory"] = str(Path(stream["directory"]).relative_to(VECTORS / name))
    assert document == json.loads((VECTORS / name / "expected.json").read_text())["result"]


def test_leaves_and_roots_are_those_of_rfc_6962() -> None:
    """Worked out here once more, from the definition."""
    vectors = json.loads((VECTORS / "hashes.json").read_text())
    leaves = [sha256(b"\0" + each["record"].encode()).digest() for each in vectors["records"]]
    assert [leaf.hex() for leaf in leaves] == [each["leaf_hash"] for each in vectors["records"]]

    def root(nodes: list[bytes]) -> bytes:
        if len(nodes) == 1:
            return nodes[0]
        half = 1 << (len(nodes) - 1).bit_length() - 1
        return sha256(b"\1" + root(nodes[:half]) + root(nodes[half:])).digest()

    for number, each in enumerate(vectors["records"], 1):
        assert root(leaves[:number]).hex() == each["root_with_it"]
