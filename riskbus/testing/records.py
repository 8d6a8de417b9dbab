"""Reads back what an audit log wrote."""

import os
from pathlib import Path
from typing import Any

import orjson

from riskbus.events import RESERVED_PREFIX
from riskbus.format.names import parse_segment_name


def read_records(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return every complete record beside an audit log's path, in the order of segments and lines.

    Args:
        path: The path of the log, as in RISK_AUDIT_LOG_PATH.

    Returns:
        The records; a last line that is still being written is left out.
    """
    segments = sorted(file for file in Path(path).parent.iterdir() if parse_segment_name(file.name))
    lines = [line for segment in segments for line in segment.read_bytes().splitlines(keepends=True)]
    return [orjson.loads(line) for line in lines if line.endswith(b"\n")]


def read_events(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the same without the log's own records."""
    return [record for record in read_records(path) if not record["event_type"].startswith(RESERVED_PREFIX)]
