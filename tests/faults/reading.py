"""What a reader finds in a log's directory, worked out from the bytes as docs/format.md says."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from riskbus.format.names import SegmentName
from riskbus.store.reading import open_segment
from riskbus.store.stream import list_segments

Record = dict[str, Any]


def records(directory: Path) -> list[Record]:
    """Return every record in the order of the log; a segment replaces what the one before holds from its start on."""
    return [record for _, record in _placed(directory)]


def events(directory: Path) -> list[Record]:
    """Return every record that is not the log's own."""
    return [record for record in records(directory) if not record["event_type"].startswith("AUDIT_")]


def numbers(directory: Path) -> list[Any]:
    """Return the numbers by which the tests recognise their events."""
    return [record["data"]["number"] for record in events(directory)]


def numbers_after_failed_syncs(directory: Path) -> list[Any]:
    """Return the same, but for events that `AUDIT_RECOVERED` shows in a later incarnation.

    They may stand in both, if what the killed process had written could not be synced when the next one looked.
    """
    again = {
        (said["incarnation"], old + step)
        for said in control(directory, "AUDIT_RECOVERED")
        for old, _, count in said.get("runs", ())
        for step in range(count)
    }
    return [
        record["data"]["number"]
        for incarnation, record in _placed(directory)
        if not record["event_type"].startswith("AUDIT_") and (incarnation, record["seq"]) not in again
    ]


def control(directory: Path, kind: str) -> list[Record]:
    """Return what the log's own records of one kind say."""
    return [record["data"] for record in records(directory) if record["event_type"] == kind]


def _placed(directory: Path) -> Iterator[tuple[str, Record]]:
    segments: list[SegmentName | None] = [*list_segments(directory), None]
    for name, after in pairwise(segments):
        if name:
            for record in _records_of(directory, name, after):
                yield name.incarnation, record


def _records_of(directory: Path, name: SegmentName, after: SegmentName | None) -> Iterator[Record]:
    same = after is not None and after.incarnation == name.incarnation
    with open_segment(directory / str(name)) as lines:
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:  # torn; whether that is right is the verifier's business
                continue
            if same and after is not None and record["seq"] >= after.first_seq:
                return
            if line.endswith(b"\n"):
                yield record
