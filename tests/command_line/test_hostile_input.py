"""Whatever a command is given, people get one sentence that says what is wrong, and never a traceback."""

import gzip
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from prometheus_client import CollectorRegistry

from riskbus.cli import COMMANDS
from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings

Riskbus = Callable[..., subprocess.CompletedProcess[str]]

ARGUMENTS: dict[str, Callable[[Path], list[object]]] = {
    "doctor": lambda directory: ["--path", directory / "risk_audit.jsonl"],
    "verify": lambda directory: [directory],
    "tail": lambda directory: ["-n", "all", "--control", directory],
    "ingest": lambda directory: [directory, os.devnull],
}
"""How each command is pointed at a directory."""


@pytest.fixture
def directory() -> Iterator[Path]:
    """A log of many lines, where others may look."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        directory = Path(name) / "audit"
        settings = AuditSettings(path=directory / "risk_audit.jsonl")
        with AuditLog(settings=settings, registry=CollectorRegistry()) as log:
            for number in range(2000):
                log.append(RiskEvent(EventType.OVERRIDE, EventPriority.LOW, "desk", {"number": number, "x": "x" * 99}))
        yield directory


def check(ended: subprocess.CompletedProcess[str], *codes: int) -> None:
    """No traceback, and one of these exit codes."""
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
    assert ended.returncode in codes, ended.stderr


def test_every_command_is_tested_here() -> None:
    """A new one joins."""
    assert set(ARGUMENTS) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_directory_that_is_not_there(riskbus: Riskbus, tmp_path: Path, command: str, options: list[str]) -> None:
    """A volume that was forgotten, or a slip of the finger."""
    ended = riskbus(command, *ARGUMENTS[command](tmp_path / "absent" / "audit"), *options)
    check(ended, 1 if command == "doctor" else 64)
    assert "absent" in ended.stdout + ended.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_in_place_of_the_directory(riskbus: Riskbus, tmp_path: Path, command: str) -> None:
    """The wrong argument."""
    (tmp_path / "file").write_bytes(b"hello")
    check(riskbus(command, *ARGUMENTS[command](tmp_path / "file")), 1 if command == "doctor" else 64)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_directory_that_one_may_not_read(riskbus: Riskbus, directory: Path, command: str) -> None:
    """Evidence is not for everyone."""
    directory.chmod(0o700)
    codes = {"doctor": 1, "verify": 3}
    ended = riskbus(command, *ARGUMENTS[command](directory), uid=65534)
    check(ended, codes.get(command, 74))
    assert "ermission" in ended.stdout + ended.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_segments_that_one_may_not_read(riskbus: Riskbus, directory: Path, command: str) -> None:
    """Nor are the files."""
    for file in directory.iterdir():
        file.chmod(0o600)
    codes = {"doctor": 1, "verify": 3}
    check(riskbus(command, *ARGUMENTS[command](directory), uid=65534), codes.get(command, 74))


@pytest.mark.parametrize("command", COMMANDS)
def test_segments_that_are_anything_but_text(riskbus: Riskbus, directory: Path, command: str) -> None:
    """A disk that lies, or a file of another program."""
    (segment,) = [file for file in directory.iterdir() if not file.is_symlink()]
    segment.write_bytes(bytes(range(256)) * 1000)
    (directory / segment.name.replace("-000000-", "-000001-")).with_suffix(".jsonl.gz").write_bytes(os.urandom(10000))
    codes = {"doctor": (0, 1), "verify": (2,)}
    check(riskbus(command, *ARGUMENTS[command](directory)), *codes.get(command, (0,)))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_segment_that_is_a_link_or_a_directory(riskbus: Riskbus, directory: Path, command: str) -> None:
    """Names prove nothing."""
    (segment,) = [file for file in directory.iterdir() if not file.is_symlink()]
    (directory / segment.name.replace("-000000-", "-000001-")).mkdir()
    (directory / segment.name.replace("-000000-", "-000002-")).symlink_to("/dev/zero")
    check(riskbus(command, *ARGUMENTS[command](directory)), *((0, 1) if command == "doctor" else (0,)))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_fifo_in_place_of_a_segment(riskbus: Riskbus, directory: Path, command: str) -> None:
    """Whoever opens one waits for its writer; the compressed segment of that name counts."""
    segment = next(path for path in directory.iterdir() if not path.is_symlink())
    segment.with_name(f"{segment.name}.gz").write_bytes(gzip.compress(segment.read_bytes()))
    segment.unlink()
    os.mkfifo(segment)
    check(riskbus(command, *ARGUMENTS[command](directory)), 0, *([1] if command == "doctor" else []))


@pytest.mark.parametrize("command", COMMANDS)
def test_standard_output_that_is_full(riskbus: Riskbus, directory: Path, command: str) -> None:
    """A result that nobody got must not look like one that is fine."""
    with Path("/dev/full").open("w") as full:
        ended = riskbus(command, *ARGUMENTS[command](directory), stdout=full)
    check(ended, 74)
    assert "No space left" in ended.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_went_away(directory: Path, command: str) -> None:
    """`riskbus … | head`: in silence, and with the code that shells give."""
    read, write = os.pipe()
    os.close(read)
    arguments = [sys.executable, "-m", "riskbus", command, *map(str, ARGUMENTS[command](directory))]
    ended = subprocess.run(arguments, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    check(ended, 141)
    assert ended.stderr == ""


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("closed", ["0<&-", ">&-", "2>&-", "0<&- >&- 2>&-"])
def test_standard_streams_that_are_closed(directory: Path, command: str, closed: str) -> None:
    """As some supervisors start programs."""
    arguments = [sys.executable, "-m", "riskbus", command, *map(str, ARGUMENTS[command](directory))]
    ended = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *arguments], capture_output=True, text=True, check=False
    )
    check(ended, *((0, 1) if command == "doctor" else (0,)))


@pytest.mark.parametrize("command", COMMANDS)
def test_an_argument_that_is_no_text(tmp_path: Path, command: str) -> None:
    """File names are bytes."""
    arguments = [sys.executable, "-m", "riskbus", command, *map(str, ARGUMENTS[command](tmp_path / "x"))]
    broken = [os.fsencode(argument).replace(b"/x", b"/\xff\xfe") for argument in arguments]
    ended = subprocess.run(broken, capture_output=True, text=True, check=False, errors="replace")
    check(ended, 1, 64)


@pytest.mark.parametrize("variable", ["RISK_AUDIT_LOG_PATH", "RISK_AUDIT_DURABILITY", "RISK_AUDIT_STAGING_SIZE"])
@pytest.mark.parametrize("command", ["doctor", "tail"])
def test_a_setting_that_is_wrong(riskbus: Riskbus, command: str, variable: str) -> None:
    """Named with its variable."""
    ended = riskbus(command, environment={variable: ".."})
    check(ended, 1, 64)
    assert variable in ended.stdout + ended.stderr


@pytest.mark.parametrize("command", [["verify"], ["verify", ".", "--anchor"], ["tail"], ["ingest"]])
def test_an_empty_path_is_not_the_working_directory(riskbus: Riskbus, command: list[str]) -> None:
    """It is that of a variable which nobody set."""
    ended = riskbus(*command, "")
    assert ended.returncode == 64
    assert "the path is empty" in ended.stderr
