"""Whatever somebody writes into its directory, a log goes on, and no command ends in a traceback."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskbus.events import RiskEvent
from riskbus.format.output import emergency_lines
from riskbus.format.record import leaf_hash, to_line
from riskbus.runtime import AuditLog
from riskbus.store.stream import list_segments

Open = Callable[..., AuditLog]
Event = Callable[..., RiskEvent]
Read = Callable[[], list[dict[str, Any]]]

ODD: list[Any] = [None, [], 5, "text", {}, {"note": None}, {"runs": [[]], "incarnation": 5}, {"events": "many"}]
KINDS = ("AUDIT_OPEN", "AUDIT_CHECKPOINT", "AUDIT_CLOSE", "AUDIT_GAP", "AUDIT_RECOVERED", "AUDIT_PRUNED", "THROTTLE")
CHANGES: list[dict[str, Any]] = [
    *({"event_type": kind, "data": data} for kind in KINDS for data in ODD),
    *({name: odd} for name in ("priority", "timestamp_ns", "source", "ts", "metadata", "event_type") for odd in ODD),
]


def forge(directory: Path, changes: list[dict[str, Any]]) -> list[bytes]:
    """Add records with good hashes to the end of the newest segment; return them."""
    segment = directory / str(list_segments(directory)[-1])
    last = json.loads(segment.read_bytes().splitlines()[-1])
    del last["hash"]
    records = [json.dumps(last | {"seq": last["seq"] + 1 + n} | change).encode() for n, change in enumerate(changes)]
    with segment.open("ab") as file:
        file.writelines(to_line(record, leaf_hash(record)) for record in records)
    return records


@pytest.mark.parametrize("change", [CHANGES, *([change] for change in CHANGES if change.get("event_type") == KINDS[1])])
def test_a_log_goes_on_behind_records_that_it_would_not_have_written(
    open_log: Open, event: Event, path: Path, change: list[dict[str, Any]]
) -> None:
    """Whoever may write there could otherwise end the evidence with one line."""
    with open_log() as log:
        assert log.append(event()).wait_durable(30)
    forge(path.parent, change)
    with open_log() as log:
        assert log.append(event()).wait_durable(30)


@pytest.mark.parametrize("writer", ["thread"])
@pytest.mark.parametrize(
    "command", [["verify"], ["verify", "--json"], ["tail"], ["tail", "--json"], ["doctor"], ["ingest"]]
)
@pytest.mark.usefixtures("writer")
def test_no_command_ends_in_a_traceback(
    open_log: Open, event: Event, path: Path, tmp_path: Path, command: list[str]
) -> None:
    """The one who reads it is an auditor."""
    with open_log() as log:
        assert log.append(event()).wait_durable(30)
        incarnation = log.status().incarnation
    records = forge(path.parent, CHANGES)
    output = tmp_path / "output"
    output.write_bytes(
        b"".join(line for seq, record in enumerate(records) for line in emergency_lines(incarnation, seq, record))
    )
    targets: dict[str, list[object]] = {"doctor": ["--path", path], "tail": [path], "ingest": [path, output]}
    target = targets.get(command[0], [path.parent])
    program = [sys.executable, "-m", "riskbus", *command, *map(str, target)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr, done.stderr
