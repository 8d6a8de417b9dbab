"""kill -9 at any moment: what a receipt called durable is there, and no line is half there."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from riskbus.format.findings import Severity
from riskbus.store.stream import list_segments
from riskbus.store.verification import verify_tree

ROUNDS = 20

PROGRAM = """
import os, sys, threading
from collections import deque
from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog

path, witness, run = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
log = AuditLog(path)
accepted = deque()

def testify():
    while True:
        if accepted:
            number, receipt = accepted.popleft()
            if receipt.wait_durable(10):
                os.write(witness, b"%d %d\\n" % (run, number))

threading.Thread(target=testify, daemon=True).start()
number = 0
while True:
    priority = EventPriority(number % 4)
    event = RiskEvent(EventType.THROTTLE, priority, "test", {"run": run, "number": number})
    accepted.append((number, log.append(event)))
    number += 1
    while len(accepted) > 500:
        pass
"""


def test_a_killed_process_leaves_everything_it_called_durable(tmp_path: Path) -> None:
    """The witness is another process, which heard of each durable event before the kill."""
    choose = random.Random()  # noqa: S311 -- any moment will do
    path = tmp_path / "risk_audit.jsonl"
    witnessed: set[tuple[int, int]] = set()
    for run in range(ROUNDS):
        witnessed |= _run_and_kill(path, run, after=choose.randrange(1, 3000))
    written = [
        (record["data"]["run"], record["data"]["number"])
        for name in list_segments(tmp_path)
        for line in (tmp_path / str(name)).read_bytes().split(b"\n")[:-1]
        for record in [json.loads(line)]
        if not record["event_type"].startswith("AUDIT_")
    ]
    assert len(witnessed) > ROUNDS
    assert witnessed - set(written) == set()
    assert len(written) == len(set(written))
    assert verify_tree(tmp_path, [], lambda _: None).worst in {None, Severity.DAMAGE, Severity.UNDECIDED}


def _run_and_kill(path: Path, run: int, after: int) -> set[tuple[int, int]]:
    """Start a publisher, kill it when it has testified to so many events, and return all that it testified to."""
    read, write = os.pipe()
    command = [sys.executable, "-c", PROGRAM, str(path), str(write), str(run)]
    process = subprocess.Popen(command, pass_fds=[write], stdout=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read, "rb") as testimony:
        lines = [testimony.readline() for _ in range(after)]
        process.send_signal(signal.SIGKILL)
        lines += testimony.readlines()
    process.wait()
    return {(int(line.split()[0]), int(line.split()[1])) for line in lines if line.endswith(b"\n")}
