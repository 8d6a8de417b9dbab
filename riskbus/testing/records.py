"""Reads back what an audit log wrote."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from riskbus.bus.outcomes import SOURCE
from riskbus.store.reading import open_segment
from riskbus.store.stream import list_segments


def read_records(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return every complete record beside an audit log's path, in the order of segments and lines.

    Args:
        path: The path of the log, as in RISK_AUDIT_LOG_PATH.

    Returns:
        The records; a last line that is still being written is left out.
    """
    directory = Path(path).parent
    records = []
    for name in list_segments(directory):
        with open_segment(directory / str(name)) as segment:
            records += [orjson.loads(line) for line in segment if line.endswith(b"\n")]
    return records


def read_events(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the same without what the log and the bus say themselves: what the program published."""
    return only_events(read_records(path))


def only_events(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those of some records that the program published."""
    return [record for record in records if record["source"] != SOURCE]
