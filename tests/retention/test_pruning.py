"""Declared first, sealed, and only then removed; and whoever verifies is told so."""

from collections.abc import Callable
from pathlib import Path

import pytest

from riskbus.clock import read_clock_status
from riskbus.format import checkpoint
from riskbus.format.anchors import Anchor
from riskbus.format.findings import Severity
from riskbus.format.pruning import KIND, Pruned
from riskbus.format.record import from_line, leaf_hash, to_line
from riskbus.runtime import AuditLog, control
from riskbus.runtime.staging import CONTROL
from riskbus.store.retention import Rules, find_declared, find_expired, remove
from riskbus.store.stream import last_checkpoint, list_segments
from riskbus.store.verification import VolumeReport
from riskbus.testing import read_records

Open = Callable[..., AuditLog]
Append = Callable[[AuditLog, int], None]
Verify = Callable[..., VolumeReport]
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


def _kinds(report: VolumeReport) -> dict[str, Severity]:
    return {finding.kind: finding.severity for finding in report.findings}


def test_what_is_left_verifies_and_says_what_was_pruned(prune: Callable[..., list[Pruned]], verify: Verify) -> None:
    """One incarnation gone as a whole, one in part: declared gaps, and no tampering."""
    pruned = prune(keep=2)
    assert len(pruned) == 2
    report = verify()
    assert _kinds(report) == {"pruned": Severity.DECLARED_GAP}
    assert report.worst is Severity.DECLARED_GAP
    (rest,) = [summary for summary in report.streams[0].incarnations if summary.incarnation == pruned[1].incarnation]
    assert rest.pruned == pruned[1].records
    assert rest.sealed > rest.pruned  # later checkpoints were compared, from the edge on
    assert rest.closed


def test_an_altered_record_behind_a_pruned_beginning_is_seen(
    two: Path, prune: Callable[..., list[Pruned]], verify: Verify
) -> None:
    """The seals over what is left still hold: made right or not, an edit breaks the root."""
    pruned = prune(keep=2)
    name = next(name for name in list_segments(two) if name.incarnation == pruned[1].incarnation)
    lines = (two / str(name)).read_bytes().splitlines(keepends=True)
    record = from_line(lines[3])[0].replace(b'"padding":"x', b'"padding":"y')
    lines[3] = to_line(record, leaf_hash(record))
    (two / str(name)).write_bytes(b"".join(lines))
    assert verify().worst is Severity.TAMPERING


def test_more_that_is_gone_than_was_declared_is_tampering(
    two: Path, prune: Callable[..., list[Pruned]], verify: Verify
) -> None:
    """A declaration covers what it names and nothing else."""
    pruned = prune(keep=2)
    own = [name for name in list_segments(two) if name.incarnation == pruned[1].incarnation]
    assert len(own) > 1
    (two / str(own[0])).unlink()
    report = verify()
    assert _kinds(report)["missing"] is Severity.TAMPERING
    assert report.worst is Severity.TAMPERING


def test_the_whole_rest_gone_is_seen_by_the_incarnation_that_follows(
    two: Path, prune: Callable[..., list[Pruned]], verify: Verify
) -> None:
    """Its AUDIT_OPEN carries a checkpoint over more records than were pruned."""
    pruned = prune(keep=2)
    for name in list_segments(two):
        if name.incarnation == pruned[1].incarnation:
            (two / str(name)).unlink()
    assert "absent" in _kinds(verify())
    assert verify().worst is not Severity.DECLARED_GAP


def test_a_declaration_that_no_checkpoint_covers_is_tampering(
    two: Path, prune: Callable[..., list[Pruned]], verify: Verify
) -> None:
    """Whoever can append to a dead log could declare anything; the writer removes nothing before it is sealed."""
    prune(keep=2)
    segment = two / str(list_segments(two)[-1])
    lines = segment.read_bytes().splitlines(keepends=True)
    position = max(number for number, line in enumerate(lines) if b"AUDIT_PRUNED" in line)
    segment.write_bytes(b"".join(lines[: position + 1]))
    assert _kinds(verify())["pruned"] is Severity.TAMPERING


def test_anchors_of_what_was_pruned_are_no_contradiction(
    two: Path, prune: Callable[..., list[Pruned]], verify: Verify
) -> None:
    """They were kept elsewhere for years, and outlive what they prove."""
    names = list_segments(two)
    oldest = [name for name in names if name.incarnation == names[0].incarnation]
    note = last_checkpoint(two / str(oldest[-1]))
    prune(keep=2)
    report = verify(Anchor(checkpoint.parse(note), "", "the container's output"))
    assert _kinds(report) == {"pruned": Severity.DECLARED_GAP}
