"""kill -9 at any moment: what append accepted is written, once and in order, by whoever comes next."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskbus.format.findings import Severity
from riskbus.runtime import AuditLog
from riskbus.store.stream import list_segments
from riskbus.store.verification import verify_tree

ROUNDS = 20

PROGRAM = """
import os, sys
from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog

path, witness, run = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
log = AuditLog(path)
number = 0
while True:
    padding = "x" * 3000 if number % 50 == 0 else ""
    data = {"number": [run, number], "padding": padding}
    receipt = log.append(RiskEvent(EventType.THROTTLE, EventPriority(number % 4), "test", data))
    os.write(witness, b"%d %d\\n" % (run, number))
    number += 1
    if number % 2000 == 0:
        receipt.wait_durable(BOUND)
"""

Number = tuple[int, int]


@pytest.fixture
def written(tmp_path: Path) -> Callable[[], list[Number]]:
    """Read the numbers of every event, in the order of the log; later segments replace what they repeat."""

    def read() -> list[Number]:
        segments = list_segments(tmp_path / "audit")
        found: list[Number] = []
        for name, after in zip(segments, [*segments[1:], None], strict=True):
            limit = after.first_seq if after and after.incarnation == name.incarnation else None
            for line in (tmp_path / "audit" / str(name)).read_bytes().split(b"\n")[:-1]:
                record: dict[str, Any] = json.loads(line)
                if limit is not None and record["seq"] >= limit:
                    break
                if not record["event_type"].startswith("AUDIT_"):
                    found.append((record["data"]["number"][0], record["data"]["number"][1]))
        return found

    return read


def _run_and_kill(path: Path, run: int, after: int, memory: Path, bound: float) -> list[Number]:
    """Start a publisher, kill it when it has testified to so many events, and return all that it testified to."""
    read, write = os.pipe()
    command = [sys.executable, "-c", PROGRAM.replace("BOUND", str(bound)), str(path), str(write), str(run)]
    environment = os.environ | {"RISK_AUDIT_STAGING_DIR": str(memory)}
    process = subprocess.Popen(command, pass_fds=[write], stdout=subprocess.DEVNULL, env=environment)
    os.close(write)
    with os.fdopen(read, "rb") as testimony:
        lines = [testimony.readline() for _ in range(after)]
        process.send_signal(signal.SIGKILL)
        lines += testimony.readlines()
    process.wait()
    return [(int(line.split()[0]), int(line.split()[1])) for line in lines if line.endswith(b"\n")]


def _check(accepted: list[Number], written: list[Number]) -> None:
    assert set(accepted) - set(written) == set()
    assert len(written) == len(set(written))
    for run in range(ROUNDS):
        assert [number for number in written if number[0] == run] == sorted(n for n in written if n[0] == run)


def test_a_killed_process_loses_nothing_that_it_had_accepted(
    tmp_path: Path, open_log: Callable[..., AuditLog], written: Callable[[], list[Number]], shared_memory: Path
) -> None:
    """The witness is another process, which heard of each event when append had returned."""
    choose = random.Random()  # noqa: S311 -- any moment will do
    path = tmp_path / "audit" / "risk_audit.jsonl"
    accepted: list[Number] = []
    for run in range(ROUNDS):
        accepted += _run_and_kill(path, run, choose.randrange(1, 4000), shared_memory, bound=10)
    assert open_log(path.parent).wait_ready(5)
    open_log(path.parent).close()
    _check(accepted, written())
    assert verify_tree(path.parent, [], lambda _: None).worst in {None, Severity.DAMAGE, Severity.UNDECIDED}


def test_what_was_accepted_while_the_volume_was_gone_is_written_when_it_is_back(
    tmp_path: Path, open_log: Callable[..., AuditLog], written: Callable[[], list[Number]], shared_memory: Path
) -> None:
    """Killed again and again without ever reaching the volume."""
    choose = random.Random()  # noqa: S311 -- any moment will do
    path = tmp_path / "audit" / "risk_audit.jsonl"
    path.parent.touch()
    accepted: list[Number] = []
    for run in range(3):
        accepted += _run_and_kill(path, run, choose.randrange(1, 3000), shared_memory, bound=0)
    path.parent.unlink()
    log = open_log(path.parent)
    assert log.wait_ready(5)
    while not set(accepted) <= set(written()):
        assert log.flush(10)
    log.close()
    _check(accepted, written())
    assert verify_tree(path.parent, [], lambda _: None).worst is None
    assert list(shared_memory.iterdir()) == []
