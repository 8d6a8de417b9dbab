"""Test vectors as files, for those who write a verifier: `python -m tests.agreement.vectors --write docs/vectors`.

The same bytes each time. A test holds them to what the program writes.
"""

import argparse
import json
import shutil
from base64 import b64encode
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from riskbus.format.record import from_line
from tests.agreement.conftest import comparable, second_verdict
from tests.agreement.corpus import CASES
from tests.agreement.scribe import finished

SHOWN = (
    "finished-in-order",
    "killed",
    "segments",
    "incarnations",
    "compressed",
    "two-directories",
    "abandoned-segment",
    "torn",
    "torn-and-recovered",
    "torn-record-of-the-logs-own",
    "zeros",
    "altered",
    "rehashed-edit",
    "removed-record",
    "stripped-seals",
    "broken-signature",
    "truncated",
    "forged-with-another-key",
    "declared-gap",
    "pruned-beginning",
    "pruned-incarnation",
    "ingested",
)
"""The cases of the corpus that stand in files; the tests have more."""


def write(directory: Path) -> None:
    """Write every vector into a directory."""
    hashes = json.dumps(_hashes(), indent=1, ensure_ascii=False)
    (directory / "hashes.json").write_text(f"{hashes}\n", encoding="utf-8")
    for name in SHOWN:
        case = CASES[name]()
        log = directory / name / "log"
        case.write(log)
        if case.anchors:
            (directory / name / "anchors.txt").write_bytes(case.anchors)
        expected = {"about": case.about, "result": _without_place(comparable(second_verdict(log, case.anchors)))}
        text = json.dumps(expected, indent=1, ensure_ascii=False)
        (directory / name / "expected.json").write_text(f"{text}\n", encoding="utf-8")


def _without_place(document: dict[str, Any]) -> dict[str, Any]:
    """Return the result without the directory in which it was made."""
    top = Path(document["streams"][0]["directory"])
    while top.name != "log":
        top = top.parent
    for stream in document["streams"]:
        stream["directory"] = str(Path(stream["directory"]).relative_to(top.parent))
    return document


def _hashes() -> dict[str, Any]:
    scribe = finished()
    records = [from_line(line) for line in scribe.lines]
    return {
        "about": "The records of finished-in-order: their leaf hashes, the root after each, and the checkpoints.",
        "verifier_key": scribe.key,
        "records": [
            {
                "record": record.decode(),
                "leaf_hash": leaf.hex(),
                "hash": b64encode(leaf).decode(),
                "root_with_it": scribe.root(number).hex(),
            }
            for number, (record, leaf) in enumerate(records, 1)
        ],
        "root_of_nothing": scribe.root(0).hex(),
        "checkpoints": scribe.notes,
    }


def main() -> None:
    """Write the vectors anew where the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", metavar="DIR", type=Path, required=True, help="where; what is there is replaced")
    target = parser.parse_args().write
    with TemporaryDirectory() as directory:
        write(Path(directory))
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(directory, target)


if __name__ == "__main__":
    main()
