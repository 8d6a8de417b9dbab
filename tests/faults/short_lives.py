"""Short lives of an audit log, each in a fresh process that is forked from this program.

    python -m tests.faults.short_lives RESULTS

For each path on standard input, a child opens a log there, publishes, rotates, and closes it. What became of its
events is a line of JSON on the descriptor RESULTS, by their numbers: {"accepted": [], "durable": [], "unfinished": []}.
Before that, there is a line {"durable": []} whenever more of them became durable.

For each `killed PATH`, the child is killed as soon as it has published; its numbers come after those of the others.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry

from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog, Receipt
from riskbus.settings import AuditSettings

EVENTS = 40
_PADDING = 2500  # bytes; enough for two segments, and too long for a slot of the ring
_BATCH = 8  # events between two waits, so that there are several batches
_PATIENCE = 0.2  # seconds for each batch
_FAREWELL = 3.0  # seconds


def live(path: Path, tell: Callable[[dict[str, list[int]]], object]) -> None:
    """Open a log, publish, close it, and tell what becomes of the events."""
    settings = AuditSettings.from_environment(path=path, rotation_max_size=64 << 10, staging_size=256 << 10)
    log = AuditLog(settings=settings, registry=CollectorRegistry())
    receipts = []
    for number in range(EVENTS):
        data = {"number": number, "padding": "x" * (_PADDING if number % 3 else 0)}
        receipts.append(log.append(RiskEvent(EventType.MARGIN_CALL, EventPriority(number % 4), "test", data)))
        if number % _BATCH == _BATCH - 1:
            receipts[-1].wait_durable(_PATIENCE)
            tell({"durable": _durable(receipts)})
    left = [json.loads(record) for record in log.close(_FAREWELL)]
    tell(
        {
            "accepted": [number for number, receipt in enumerate(receipts) if receipt.seq >= 0],
            "durable": _durable(receipts),
            "unfinished": [record["data"]["number"] for record in left if record["event_type"] == "MARGIN_CALL"],
        }
    )


def be_killed(path: Path) -> None:
    """Open a log, publish, and end before all of it is written."""
    log = AuditLog(settings=AuditSettings.from_environment(path=path, staging_size=256 << 10))
    for number in range(EVENTS, 2 * EVENTS):
        data = {"number": number, "padding": "x" * (_PADDING if number % 3 else 0)}
        newest = log.append(RiskEvent(EventType.MARGIN_CALL, EventPriority(number % 4), "test", data))
        if number == EVENTS + _BATCH:
            newest.wait_durable()
    os.kill(os.getpid(), signal.SIGKILL)


def _durable(receipts: list[Receipt]) -> list[int]:
    return [number for number, receipt in enumerate(receipts) if receipt.durable]


def main(results: int) -> None:
    """Let a child live for each line of standard input."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            kind, _, path = line.rstrip("\n").rpartition(" ")
            try:
                if kind == "killed":
                    be_killed(Path(path))
                live(Path(path), lambda said: os.write(results, f"{json.dumps(said)}\n".encode()))
                status = 0
            finally:
                os._exit(status)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == -signal.SIGKILL:
            os.write(results, b'{"killed": true}\n')
        elif code != 0:
            sys.exit("a life ended with an exception")


if __name__ == "__main__":
    main(int(sys.argv[1]))
