"""Declared first, sealed, and only then removed; and whoever verifies is told so."""

from collections.abc import Callable
from pathlib import Path

import pytest

from riskbus.clock import read_clock_status
from riskbus.format.pruning import KIND, Pruned
from riskbus.runtime import AuditLog, control
from riskbus.runtime.staging import CONTROL
from riskbus.store.retention import Rules, find_declared, find_expired, remove
from riskbus.store.stream import list_segments
from riskbus.testing import read_records

Open = Callable[..., AuditLog]
Append = Callable[[AuditLog, int], None]
MakeRules = Callable[..., Rules]


def declare(log: AuditLog, pruned: list[Pruned]) -> None:
    """Let the log say it, as its upkeep does, and wait until a checkpoint on the volume covers it."""
    for item in pruned:
        body = control.encode_now(KIND, item.payload(10))
        log._incarnation.staging.stage(body, CONTROL)  # noqa: SLF001 -- what only the log itself may record
    directory = log.settings.path.parent
    while not find_declared(directory, "risk_audit", log.status().incarnation):
        assert log.flush(10)


@pytest.fixture
def prune(two: Path, open_log: Open, rules: MakeRules) -> Callable[..., list[Pruned]]:
    """Prune all that may go, by a third incarnation, which ends."""

    def run(keep: int = 2) -> list[Pruned]:
        with open_log() as log:
            assert log.wait_ready(10)
            own = log.status().incarnation
            expired = list(find_expired(two, "risk_audit", own, rules(keep=keep)))
            declare(log, expired)
            declared = find_declared(two, "risk_audit", own)
            assert declared == expired
            for item in declared:
                remove(two, item)
        return expired

    return run


def test_what_was_declared_is_removed_and_nothing_else(two: Path, prune: Callable[..., list[Pruned]]) -> None:
    """The oldest go, compressed or not."""
    names = list_segments(two)
    pruned = prune(keep=2)
    gone = {name for item in pruned for name in item.segments}
    assert gone == {str(name) for name in names} - {str(name) for name in list_segments(two)}
    assert [str(name) for name in names][: len(gone)] == sorted(gone)


def test_nothing_is_removed_before_a_checkpoint_covers_the_declaration(
    two: Path, open_log: Open, rules: MakeRules
) -> None:
    """Else a crash in between would look like tampering, and a forger could append a declaration."""
    with open_log() as log:
        assert log.wait_ready(10)
        own = log.status().incarnation
        declare(log, list(find_expired(two, "risk_audit", own, rules())))
    segment = two / str(list_segments(two)[-1])
    lines = segment.read_bytes().splitlines(keepends=True)
    position = next(number for number, line in enumerate(lines) if b"AUDIT_PRUNED" in line)
    segment.write_bytes(b"".join(lines[: position + 1]))
    assert find_declared(two, "risk_audit", own) == []


def test_a_second_pruning_goes_on_from_the_first(
    two: Path, rules: MakeRules, prune: Callable[..., list[Pruned]]
) -> None:
    """The incarnation whose beginning is gone already expires further, from the edge that was declared."""
    first = prune(keep=3)
    later = list(find_expired(two, "risk_audit", "f" * 32, rules(keep=1)))
    assert later[0].incarnation == first[-1].incarnation
    assert later[0].records > first[-1].records
    assert later[0].public_key == first[-1].public_key
    assert later[0].events > first[-1].events


def test_a_beginning_that_nobody_declared_is_in_the_way(two: Path, rules: MakeRules) -> None:
    """Removed by hand: what follows stays, for someone to look into it."""
    names = list_segments(two)
    (two / str(names[0])).unlink()
    with pytest.raises(Exception, match="neither here nor declared"):
        list(find_expired(two, "risk_audit", "f" * 32, rules()))


def test_a_living_log_prunes_by_itself_where_someone_keeps_the_clock(ancient: Path, open_log: Open, path: Path) -> None:
    """The real program, on segments from years ago: declares, waits for the seal, removes; without a clock, nothing."""
    names = list_segments(ancient)
    with open_log(rotation_keep=2, retention_days=1000) as log:
        assert log.wait_ready(10)
        if read_clock_status().synchronized:
            while len(list_segments(ancient)) > 4:  # two closed ones, the newest of the old, and the log's own
                assert log.flush(10)
            assert KIND in {record["event_type"] for record in read_records(path)}
        else:
            while not (ancient / f"{names[0]}.gz").exists():  # the program compresses after it has looked what to prune
                assert log.flush(10)
            assert set(names) <= set(list_segments(ancient))
            assert KIND not in {record["event_type"] for record in read_records(path)}
