"""kill -9 at any moment: what append accepted is written, once and in order, by whoever comes next."""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from riskbus.format.findings import Finding
from riskbus.runtime import AuditLog
from riskbus.store.verification import verify_tree
from tests.faults import reading
from tests.faults.conftest import size

if TYPE_CHECKING:
    from tests.faults.volumes import Volume

KILLS = size("FAULTS_KILLS", 200)
_AT_ONCE = 50  # kills in a row on one directory; then the last heir finishes and everything is checked

Open = Callable[..., AuditLog]
Accepted = dict[tuple[int, int], int]
"""How many events of each run and thread were accepted."""


def _kill(path: Path, first: int, rounds: int) -> Accepted:
    """Let a witness start and kill so many victims, and return what they had testified to."""
    command = [sys.executable, "-m", "tests.faults.victims", path, first, rounds]
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    lines = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("[")]
    assert len(lines) == rounds
    return {(run, thread): count for run, counts in lines for thread, count in enumerate(counts)}


def _let_the_last_heir_finish(open_log: Open, directory: Path, shared_memory: Path) -> None:
    while list(shared_memory.glob("*.ring")):  # one heir takes over as much as half of its ring holds
        log = open_log(directory)
        assert log.wait_ready(30)
        assert log.close(30) == ()


def _check(directory: Path, accepted: Accepted) -> None:
    """0 lost, 0 torn, 0 twice, and each thread's own order."""
    written: dict[tuple[int, int], list[int]] = defaultdict(list)
    for run, thread, number in reading.numbers(directory):
        written[run, thread].append(number)
    for publisher, count in accepted.items():
        found = written[publisher]
        assert found == list(range(len(found))), f"events of {publisher} are lost, repeated or out of order"
        assert count <= len(found) <= count + 1, f"{count} events of {publisher} were accepted, {len(found)} are there"
    assert [finding for finding in verify_tree(directory, [], lambda _: None).findings if not _by_kill(finding)] == []


def _by_kill(finding: Finding) -> bool:
    """Whether a kill leaves this by nature: half a line, whose event is whole elsewhere, or records before any seal."""
    return finding.kind in {"torn", "unsealed"}


@pytest.mark.timeout(7200)
def test_a_killed_process_loses_nothing_that_it_had_accepted(
    make_volume: "Callable[..., Volume]", open_log: Open, shared_memory: Path, say: Callable[[str], None]
) -> None:
    """The witness is another process, which shares memory with the victim and knows which calls had returned."""
    volume = make_volume(64, shared_memory)
    events = 0
    for first in range(0, KILLS, _AT_ONCE):
        directory = volume.path / str(first)
        accepted = _kill(directory / "risk_audit.jsonl", first, min(_AT_ONCE, KILLS - first))
        _let_the_last_heir_finish(open_log, directory, shared_memory)
        _check(directory, accepted)
        events += sum(accepted.values())
        subprocess.run(["rm", "-rf", directory], check=True)
        done = first + _AT_ONCE
        if first * 10 // KILLS != done * 10 // KILLS:
            say(f"{min(done, KILLS):,} of {KILLS:,} kills, {events:,} events accepted: none lost, none twice")
    assert events > KILLS


def test_what_was_accepted_while_the_volume_was_gone_is_written_when_it_is_back(
    tmp_path: Path, open_log: Open, shared_memory: Path
) -> None:
    """Killed again and again without ever reaching the volume."""
    directory = tmp_path / "audit"
    directory.touch()
    accepted = _kill(directory / "risk_audit.jsonl", 0, 4)
    assert sum(accepted.values()) > 0
    directory.unlink()
    _let_the_last_heir_finish(open_log, directory, shared_memory)
    _check(directory, accepted)
