"""Compressing a closed segment: nothing is lost whenever it ends, and nobody's segment is touched."""

import fcntl
import hashlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from riskbus.store.reading import open_segment
from riskbus.store.relocation import compress
from riskbus.store.verification import VolumeReport

Write = Callable[..., None]
Segments = Callable[[], list[Path]]
Verify = Callable[[], VolumeReport]


def _no_rest() -> None:
    pass


def _content(segment: Path) -> bytes:
    with open_segment(segment) as file:
        return file.read()


def _names(segment: Path) -> list[str]:
    return [file.name for file in segment.parent.iterdir()]


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    """A closed segment of a few members."""
    lines = [
        b'{"seq":%d,"hash":"%b"}\n' % (seq, hashlib.sha256(b"%d" % seq).hexdigest().encode()) for seq in range(30_000)
    ]
    path = tmp_path / "audit" / "segment.jsonl"
    path.parent.mkdir()
    path.write_bytes(b"".join(lines))
    path.chmod(0o640)
    return path


def test_a_whole_log_is_compressed_and_verifies(write: Write, segments: Segments, verify: Verify) -> None:
    """The bytes that come out are those that went in; gzip's own tools read them."""
    write()
    before = {segment: segment.read_bytes() for segment in segments()}
    for segment in segments():
        assert compress(segment, _no_rest)
    for segment, content in before.items():
        assert not segment.exists()
        assert subprocess.run(["zcat", f"{segment}.gz"], check=True, capture_output=True).stdout == content
    assert verify().worst is None


def test_mode_and_time_of_the_segment_are_kept(segment: Path) -> None:
    """A group of auditors may read what it could read."""
    before = segment.stat()
    assert compress(segment, _no_rest)
    after = segment.with_name(f"{segment.name}.gz").stat()
    assert (after.st_mode, after.st_mtime_ns, after.st_gid) == (before.st_mode, before.st_mtime_ns, before.st_gid)
    assert after.st_size < before.st_size


def test_a_segment_that_is_locked_is_left_alone(segment: Path) -> None:
    """Its writer lives."""
    content = segment.read_bytes()
    with segment.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert not compress(segment, _no_rest)
    assert _names(segment) == [segment.name]
    assert segment.read_bytes() == content


def test_a_segment_that_grows_meanwhile_stays(segment: Path) -> None:
    """Where locks do not reach, for example between two nodes, its size and time still tell."""

    def append() -> None:
        with segment.open("ab") as writer:
            writer.write(b"one more\n")

    size = segment.stat().st_size
    assert not compress(segment, append)
    assert _names(segment) == [segment.name]
    assert segment.stat().st_size > size


def test_what_does_not_read_back_never_replaces_the_segment(segment: Path) -> None:
    """A device that changes bytes is found out while the original is still there."""
    content = segment.read_bytes()

    def corrupt() -> None:
        (part,) = segment.parent.glob("*.part")
        with part.open("r+b") as file:
            file.seek(100)
            file.write(bytes(100))

    with pytest.raises(OSError, match="did not read back"):
        compress(segment, corrupt)
    assert _names(segment) == [segment.name]
    assert segment.read_bytes() == content


def test_a_compressed_file_that_differs_is_made_again(segment: Path) -> None:
    """Both are there after a crash; only one that is equal may stay alone."""
    content = segment.read_bytes()
    segment.with_name(f"{segment.name}.gz").write_bytes(b"not gzip")
    assert compress(segment, _no_rest)
    assert not segment.exists()
    assert _content(segment) == content


PROGRAM = """
import os, signal, sys
from pathlib import Path
from riskbus.store import relocation

last, seen = int(sys.argv[2]), 0

def count(event, arguments):
    global seen
    if event in {"open", "os.rename", "os.remove", "fcntl.flock", "os.chmod", "os.utime"}:
        seen += 1
        if seen > last:
            os.kill(os.getpid(), signal.SIGKILL)

def rest():
    count("open", ())

Path(sys.argv[1]).stat()
sys.addaudithook(count)
relocation.compress(Path(sys.argv[1]), rest)
os.write(1, b"done")
"""


def test_a_kill_at_any_step_loses_nothing(segment: Path, tmp_path: Path) -> None:
    """Before each file operation of the whole course; and whoever comes next finishes it."""
    content = segment.read_bytes()
    for step in range(40):
        directory = tmp_path / f"killed-{step}"
        shutil.copytree(segment.parent, directory)
        command = [sys.executable, "-c", PROGRAM, str(directory / segment.name), str(step)]
        ended = subprocess.run(command, check=False, capture_output=True)
        assert ended.returncode in {-signal.SIGKILL, 0}, ended.stderr
        assert _content(directory / segment.name) == content
        if ended.stdout == b"done":
            break
        if (directory / segment.name).exists():
            assert compress(directory / segment.name, _no_rest)
        assert _names(directory / segment.name) == [f"{segment.name}.gz"]
        assert _content(directory / segment.name) == content
    else:
        pytest.fail("it has more steps than were tried")
    assert step > 8
