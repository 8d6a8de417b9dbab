"""Validating real directories of the machine that runs the tests."""

from pathlib import Path
from tempfile import TemporaryDirectory

from riskbus.mount import Reason, Verdict, validate_mount

MEMORY = "/dev/shm"  # noqa: S108 -- the test wants exactly this file system


def test_shared_memory_is_ephemeral() -> None:
    """It is a tmpfs everywhere."""
    with TemporaryDirectory(dir=MEMORY) as directory:
        report = validate_mount(Path(directory) / "risk_audit.jsonl")
        assert (report.verdict, report.reason) == (Verdict.INVALID, Reason.EPHEMERAL_TMPFS)
        assert report.filesystem == "tmpfs"
        assert report.capacity_bytes > 0
        assert list(Path(directory).iterdir()) == []


def test_a_directory_that_does_not_exist_is_missing(tmp_path: Path) -> None:
    """A volume that was forgotten shows as such."""
    report = validate_mount(tmp_path / "absent" / "risk_audit.jsonl")
    assert (report.verdict, report.reason) == (Verdict.INVALID, Reason.MISSING)
    assert "RISK_AUDIT_LOG_PATH" in report.message


def test_a_link_is_followed_to_where_it_leads(tmp_path: Path) -> None:
    """What counts is where the bytes go."""
    (tmp_path / "link").symlink_to(MEMORY)
    assert validate_mount(tmp_path / "link" / "risk_audit.jsonl").reason is Reason.EPHEMERAL_TMPFS


def test_a_directory_that_takes_no_files_is_not_writable() -> None:
    """Found out by trying, as whoever runs."""
    report = validate_mount("/proc/risk_audit.jsonl")
    assert (report.verdict, report.reason) == (Verdict.INVALID, Reason.NOT_WRITABLE)
    assert "fsGroup" in report.message
