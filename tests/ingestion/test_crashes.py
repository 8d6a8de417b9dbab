"""`riskbus ingest` may be killed at any moment, and the next one completes what it began."""

import json
import os
import subprocess
import sys
from pathlib import Path

from .conftest import Log

# Single-threaded, so that it may fork: a child for each line of the code that writes, which is killed just before it.
PROGRAM = """
import json, os, shutil, signal, sys
from pathlib import Path
from riskbus.cli import main
from riskbus.store.verification import verify_tree

source, work, output = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
TRACED = ("riskbus/runtime/ingestion.py", "riskbus/store/posix.py")

def ingest(directory, die_at):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    steps = 0
    def trace(frame, event, argument):
        nonlocal steps
        if not frame.f_code.co_filename.endswith(TRACED):
            return None
        if event == "line":
            steps += 1
            if steps == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)
    os._exit(main(["ingest", str(directory), output]))

def look(directory):
    lines = [line for file in directory.glob("risk_audit-*.jsonl") for line in file.read_bytes().splitlines()]
    events = sorted(json.loads(line)["data"]["number"] for line in lines if b'"AUDIT_' not in line)
    worst = verify_tree(directory, [], lambda _: None).worst
    return [events, worst and worst.name, sorted(file.name for file in directory.glob(".*.ingest"))]

for step in range(1, 100000):
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(source, work, symlinks=True)
    code = ingest(work, step)
    crashed = look(work)
    again = ingest(work, 0)
    print(json.dumps([step, code, crashed, again, look(work)]), file=sys.stderr)
    if code != -9:
        break
"""


def test_a_kill_before_any_line_leaves_a_good_log_that_the_next_run_completes(killed: Log, tmp_path: Path) -> None:
    """No event twice at any time, none missing at the end, and nothing that an auditor would have to ask about."""
    output = tmp_path / "output"
    lost = list(killed.lost)
    output.write_bytes(b"".join(killed.copies(*lost[:2], *lost[3:])))
    command = [sys.executable, "-c", PROGRAM, str(killed.directory), str(tmp_path / "work"), str(output)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ, timeout=250)
    steps = [json.loads(line) for line in ended.stderr.splitlines()]
    assert len(steps) > 100
    assert [code for _, code, *_ in steps] == [-9] * (len(steps) - 1) + [0]
    everything = [number for number in range(10) if number != 6]
    for step, _, (numbers, worst, _), again, after in steps:
        assert len(numbers) == len(set(numbers)), step
        assert set(numbers) <= set(everything), step
        assert worst is None, step
        assert (again, after) == (0, [everything, None, []]), step
    states = {tuple(numbers) for _, _, (numbers, *_), *_ in steps}
    assert len(states) == 3  # nothing yet, the incarnation of its own, everything
