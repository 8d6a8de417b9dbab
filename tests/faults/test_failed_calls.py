"""One system call fails, or all do from some call on: whichever it is, nothing is lost and nobody is suspected."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from errno import EDQUOT, EIO, ENOSPC, EROFS, ESTALE, errorcode
from pathlib import Path
from shutil import rmtree

import pytest

from riskbus.format.findings import Severity
from riskbus.runtime import AuditLog
from riskbus.store.verification import verify_tree
from tests.faults import reading
from tests.faults.conftest import size
from tests.faults.interposer import ALWAYS, CHANGING, Call, Interposer
from tests.faults.short_lives import EVENTS

STRIDE = size("FAULTS_STRIDE", 20)  # 1 lets every single call fail

Live = Callable[..., dict[str, list[int]]]


@dataclass(frozen=True)
class Fault:
    """What fails, how, and for how long.

    Attributes:
        kinds: which calls.
        error: with which error.
        calls: how many in a row.
    """

    kinds: Call
    error: int
    calls: int = 1

    def __str__(self) -> str:
        names = "any call" if self.kinds == CHANGING else str(self.kinds.name).lower()
        return f"{names} {errorcode[self.error]} {'for ever' if self.calls == ALWAYS else f'{self.calls} times'}"


FAULTS = [
    *(Fault(kind, EIO) for kind in Call if kind is not Call.READ),  # a log that is new reads nothing
    Fault(Call.WRITE | Call.OPEN | Call.MKDIR, ENOSPC),
    Fault(Call.WRITE | Call.OPEN | Call.MKDIR, EDQUOT, 3),
    Fault(Call.OPEN | Call.MKDIR | Call.SYMLINK, EROFS, 2),
    Fault(Call.OPEN | Call.FDATASYNC | Call.STAT, ESTALE, 4),
    Fault(Call.FDATASYNC, EIO, 3),
    Fault(CHANGING, EIO, ALWAYS),
    Fault(Call.WRITE, EDQUOT, ALWAYS),
]


WHILE_INHERITING = [
    *(Fault(kind, EIO) for kind in (Call.OPEN, Call.READ, Call.STAT, Call.FDATASYNC)),
    Fault(Call.OPEN | Call.READ | Call.STAT, ESTALE, 4),
    Fault(Call.WRITE | Call.OPEN, ENOSPC, 3),
]


@pytest.fixture
def interposer(tmp_path: Path, shared_memory: Path) -> Interposer:
    """Steers the calls below the directory `volume` in shared memory."""
    return Interposer(tmp_path, shared_memory / "volume")


@pytest.fixture
def live(interposer: Interposer) -> Iterator[Live]:
    """Let a log live for a short time in a process of its own, and return what became of its events."""
    results, sink = os.pipe()
    command = [sys.executable, "-m", "tests.faults.short_lives", str(sink)]
    process = subprocess.Popen(
        command,
        pass_fds=[sink],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=interposer.environment,
        text=True,
    )
    os.close(sink)
    with process, os.fdopen(results) as said:

        def run(path: Path, kind: str = "") -> dict[str, list[int]]:
            assert process.stdin is not None
            process.stdin.write(f"{kind} {path}\n")
            process.stdin.flush()
            for line in said:
                if {"accepted", "killed"} & (result := json.loads(line)).keys():
                    return dict(result)
            raise AssertionError("the process ended with an exception")

        yield run


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_whichever_call_fails_nothing_is_lost(
    fault: Fault, interposer: Interposer, live: Live, open_log: Callable[..., AuditLog], shared_memory: Path
) -> None:
    """Every accepted event is in the log or handed back by close; the next process writes what was handed back."""
    path = shared_memory / "volume" / "audit" / "risk_audit.jsonl"
    number = 1
    while True:
        interposer.fail(fault.kinds, number, fault.error, fault.calls)
        said = live(path)
        reached = interposer.seen >= number
        interposer.fail(fault.kinds, 0)
        assert said["accepted"] == list(range(EVENTS))
        there = reading.numbers(path.parent) if path.parent.exists() else []
        assert set(said["durable"]) <= set(there)
        assert set(there) | set(said["unfinished"]) == set(range(EVENTS))
        if fault.calls < ALWAYS:
            assert there == list(range(EVENTS)), f"call {number}"
        _let_the_next_process_finish(open_log, path)
        assert reading.numbers(path.parent) == list(range(EVENTS)), f"call {number}"
        findings = verify_tree(path.parent, [], lambda _: None).findings
        assert [finding for finding in findings if finding.severity is Severity.TAMPERING] == [], f"call {number}"
        rmtree(path.parents[1])
        if not reached:
            break
        number += STRIDE
    assert number > 1


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fault", WHILE_INHERITING, ids=str)
def test_whichever_call_fails_what_a_killed_process_left_is_not_lost(
    fault: Fault, interposer: Interposer, live: Live, open_log: Callable[..., AuditLog], shared_memory: Path
) -> None:
    """What is on the volume decides what is still missing there, and that may be what cannot be found out now."""
    path = shared_memory / "volume" / "audit" / "risk_audit.jsonl"
    number = 1
    while True:
        live(path, "killed")
        interposer.fail(fault.kinds, number, fault.error, fault.calls)
        said = live(path)
        reached = interposer.seen >= number
        interposer.fail(fault.kinds, 0)
        assert said["accepted"] == list(range(EVENTS))
        while list(shared_memory.glob("*.ring")):
            _let_the_next_process_finish(open_log, path)
        assert sorted(reading.numbers_after_failed_syncs(path.parent)) == list(range(2 * EVENTS)), f"call {number}"
        assert verify_tree(path.parent, [], lambda _: None).worst is not Severity.TAMPERING, f"call {number}"
        rmtree(path.parents[1])
        if not reached:
            break
        number += STRIDE
    assert number > 1


def _let_the_next_process_finish(open_log: Callable[..., AuditLog], path: Path) -> None:
    log = open_log(path.parent, staging_size=256 << 10)
    assert log.wait_ready(30)
    assert log.close(30) == ()
