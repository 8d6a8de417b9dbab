"""kill -9 at any moment: what append accepted is written, once and in order, by whoever comes next."""

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings
from riskbus.store.verification import verify_tree
from tests.faults.conftest import size
from tests.faults.witness import Statement, end_victims, found

if TYPE_CHECKING:
    from tests.faults.volumes import Volume

KILLS = size("FAULTS_KILLS", 200)
_OF_A_PROCESS = 10  # a writer's process takes so much longer to come up than a thread
_AT_ONCE = 50  # kills in a row on one directory; then the last heir finishes and everything is checked


def _let_the_last_heir_finish(directory: Path, shared_memory: Path) -> None:
    settings = AuditSettings.from_environment(path=directory / "risk_audit.jsonl")
    while list(shared_memory.glob("*.ring")):  # one heir takes over as much as half of its ring holds
        log = AuditLog(settings=settings, registry=CollectorRegistry())  # not kept: a ring is as large as a whole round
        assert log.wait_ready(30)
        assert log.close(30) == ()


def _check(directory: Path, statements: list[Statement], *, ordered: bool = True) -> int:
    """0 lost, 0 twice, each thread's own order; return how many half lines there are whose records are whole."""
    written = found(directory, ordered=ordered)
    for said in statements:
        there = written.get((said.run, said.thread), 0)
        assert said.accepted <= there <= said.accepted + 1, f"{said}, but {there} events are there"
    report = verify_tree(directory, [], lambda _: None)
    assert report.worst is None, report.findings
    assert {finding.kind for finding in report.findings} <= {"torn-recovered"}
    return len(report.findings)


@pytest.mark.timeout(14400)
@pytest.mark.parametrize(("writer", "kills"), [("thread", KILLS), ("process", KILLS // _OF_A_PROCESS)])
def test_a_killed_process_loses_nothing_that_it_had_accepted(  # noqa: PLR0913, PLR0917 -- fixtures
    make_volume: "Callable[..., Volume]",
    shared_memory: Path,
    say: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    writer: str,
    kills: int,
) -> None:
    """The witness is another process, which shares memory with the victim and knows which calls had returned."""
    monkeypatch.setenv("RISK_AUDIT_WRITER", writer)
    volume = make_volume(64, shared_memory)
    events = halves = 0
    for first in range(0, kills, _AT_ONCE):
        directory = volume.path / str(first)
        statements = end_victims(directory / "risk_audit.jsonl", first, min(_AT_ONCE, kills - first))
        _let_the_last_heir_finish(directory, shared_memory)
        halves += _check(directory, statements)
        events += sum(said.accepted for said in statements)
        subprocess.run(["rm", "-rf", directory], check=True)
        done = first + _AT_ONCE
        if first * 10 // kills != done * 10 // kills:
            said = f"{events:,} events accepted: none lost, none twice; {halves} lines cut off and written again"
            say(f"{min(done, kills):,} of {kills:,} kills, {said}")
    assert events > kills


@pytest.mark.timeout(7200)
def test_processes_that_share_a_directory_take_over_from_those_that_are_killed(
    make_volume: "Callable[..., Volume]", shared_memory: Path
) -> None:
    """Three at a time, each killed again and again while the others write: one that lives inherits as well."""
    directory = make_volume(256, shared_memory).path / "audit"
    end = partial(end_victims, directory / "risk_audit.jsonl", rounds=max(KILLS // 50, 10))
    with ThreadPoolExecutor() as pool:
        statements = [said for of_one in pool.map(end, (0, 1_000_000, 2_000_000)) for said in of_one]
    _let_the_last_heir_finish(directory, shared_memory)
    _check(directory, statements, ordered=False)
    assert sum(said.accepted for said in statements) > KILLS


def test_what_was_accepted_while_the_volume_was_gone_is_written_when_it_is_back(
    tmp_path: Path, shared_memory: Path
) -> None:
    """Killed again and again without ever reaching the volume."""
    directory = tmp_path / "audit"
    directory.touch()
    statements = end_victims(directory / "risk_audit.jsonl", 0, 4)
    assert sum(said.accepted for said in statements) > 0
    directory.unlink()
    _let_the_last_heir_finish(directory, shared_memory)
    _check(directory, statements)
