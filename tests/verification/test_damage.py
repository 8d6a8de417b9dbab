"""Damage is not tampering, a living log is not damage, and neither hides good records."""

from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry

from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.format.findings import Severity
from riskbus.format.names import SegmentName
from riskbus.format.record import encode_control, leaf_hash, to_line, with_number
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings
from riskbus.store.verification import VolumeReport, verify_tree

Verify = Callable[..., VolumeReport]
Kinds = Callable[..., set[str]]


def test_a_torn_last_line_of_a_finished_log_is_damage(verify: Verify, segment: Path) -> None:
    """Nobody can still be writing it."""
    segment.write_bytes(segment.read_bytes()[:-10])
    report = verify()
    assert {finding.kind for finding in report.findings} == {"torn", "unsealed"}
    assert report.worst is Severity.DAMAGE


def test_every_prefix_of_a_log_is_read_without_an_error(directory: Path, segment: Path) -> None:
    """A crash can leave any of them; none may be called tampering."""
    content = segment.read_bytes()
    for length in range(0, len(content), 97):
        segment.write_bytes(content[:length])
        assert verify_tree(directory, [], lambda _: None).worst is not Severity.TAMPERING


def test_the_unfinished_last_line_of_a_living_log_is_in_flight(verify: Verify, segment: Path) -> None:
    """The newest incarnation has not ended, and its writer may be in the middle of a line."""
    lines = segment.read_bytes().splitlines(keepends=True)
    close = next(number for number, line in enumerate(lines) if b"AUDIT_CLOSE" in line)
    segment.write_bytes(b"".join(lines[:close]) + lines[close][:40])
    assert verify().worst is None


def test_a_block_of_zeros_hides_nothing_after_it(verify: Verify, segment: Path) -> None:
    """A power cut or a bad sector in the middle: the records behind it are still read."""
    lines = segment.read_bytes().splitlines(keepends=True)
    lines[3] = bytes(len(lines[3]) - 1) + b"\n"
    segment.write_bytes(b"".join(lines))
    report = verify()
    assert {finding.kind for finding in report.findings} == {"malformed", "missing", "unproved"}
    assert report.worst is Severity.DAMAGE
    assert report.streams[0].incarnations[0].records == len(lines) - 1


def test_an_empty_directory_decides_nothing(tmp_path: Path) -> None:
    """The wrong directory must not look like success."""
    assert verify_tree(tmp_path, [], lambda _: None).worst is Severity.UNDECIDED


def test_gaps_that_the_writer_declares_are_reported_as_such(tmp_path: Path) -> None:
    """Honesty about a loss is neither damage nor silence."""
    log = AuditLog(
        settings=AuditSettings.from_environment(path=tmp_path / "risk_audit.jsonl"), registry=CollectorRegistry()
    )
    log._incarnation.ring.lost = 7  # noqa: SLF001 -- no public way makes a gap quickly
    log.close()
    report = verify_tree(tmp_path, [], lambda _: None)
    assert report.worst is Severity.DECLARED_GAP
    assert report.streams[0].incarnations[0].gap_events == 7


def test_several_streams_of_a_volume_are_found(tmp_path: Path, write: Callable[..., AuditLog]) -> None:
    """One claim can hold a directory for each pod."""
    write(tmp_path / "jules-0" / "risk_audit.jsonl")
    write(tmp_path / "jules-1" / "risk_audit.jsonl", events=2)
    (tmp_path / "lost+found").mkdir()
    report = verify_tree(tmp_path, [], lambda _: None)
    assert [stream.directory.name for stream in report.streams] == ["jules-0", "jules-1"]
    assert [stream.incarnations[0].events for stream in report.streams] == [5, 2]
    assert report.worst is None


def test_a_log_can_be_verified_while_it_is_written(tmp_path: Path) -> None:
    """Auditors do not stop trading."""
    with AuditLog(
        settings=AuditSettings.from_environment(path=tmp_path / "risk_audit.jsonl"), registry=CollectorRegistry()
    ) as log:
        for number in range(20):
            for _ in range(200):
                log.append(RiskEvent(EventType.THROTTLE, EventPriority.LOW, "test", {"number": number}))
            assert verify_tree(tmp_path, [], lambda _: None).worst in {None, Severity.UNDECIDED}
    assert verify_tree(tmp_path, [], lambda _: None).worst is None


def _line(seq: int, kind: str = "AUDIT_CLOCK") -> bytes:
    record = with_number(seq, encode_control(kind, {"seq": seq}, "id", 1))
    return to_line(record, leaf_hash(record))


def _abandon(directory: Path, segment: Path, rest: bytes) -> None:
    """Split the log as an outage does: the first file goes on with `rest`, the second takes over in the middle."""
    lines = segment.read_bytes().splitlines(keepends=True)
    parsed = segment.name.split("-")
    taken_over = directory / str(SegmentName(parsed[0], parsed[1], 1, 3))
    taken_over.write_bytes(b"".join(lines[3:]))
    segment.write_bytes(b"".join(lines[:3]) + rest)


def test_copies_that_an_outage_left_behind_are_no_fault(directory: Path, segment: Path, verify: Verify) -> None:
    """After a failed sync the writer repeats what was not durable in a new segment."""
    lines = segment.read_bytes().splitlines(keepends=True)
    _abandon(directory, segment, lines[3] + lines[4][:50])
    assert verify().worst is None


def test_a_copy_that_differs_is_reported(directory: Path, segment: Path, kinds: Kinds) -> None:
    """It may be damage, it may be more; it is not nothing."""
    _abandon(directory, segment, _line(3))
    assert kinds() == {"contradicted"}


def test_a_torn_copy_that_differs_is_reported(directory: Path, segment: Path, kinds: Kinds) -> None:
    """Bytes that nobody wrote do not pass for a torn line."""
    _abandon(directory, segment, b'{"seq":3,"ts":"forged')
    assert kinds() == {"contradicted"}
