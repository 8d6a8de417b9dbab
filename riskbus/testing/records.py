"""Reads back what an audit log wrote."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from riskbus.events import RESERVED_PREFIX
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
    """Return the same without the log's own records."""
    return only_events(read_records(path))


def only_events(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those of some records that are not the log's own."""
    return [record for record in records if not record["event_type"].startswith(RESERVED_PREFIX)]
