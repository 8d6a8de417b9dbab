"""What a process could not write any more goes from its standard output back into the log."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskbus.cli import main
from riskbus.events import RiskEvent
from riskbus.format.emergency import Collector
from riskbus.format.output import emergency_lines
from riskbus.format.record import decode, from_line
from riskbus.format.selection import Selection
from riskbus.runtime import AuditLog
from riskbus.store.following import Follower
from riskbus.store.history import History
from riskbus.store.stream import list_segments
from riskbus.store.verification import verify_tree
from tests.faults.volumes import Volume

MakeVolume = Callable[..., Any]
Open = Callable[..., AuditLog]
Event = Callable[..., RiskEvent]

PROGRAM = """
import sys
from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog

log = AuditLog(sys.argv[1])
def publish(numbers, padding):
    for number in numbers:
        data = {"number": number, "padding": "x" * padding}
        receipt = log.append(RiskEvent(EventType.THROTTLE, EventPriority(number % 4), "test", data))
    return receipt
assert publish(range(20), 10).wait_durable(30)
sys.stdout.write("READY\\n")  # in one piece, between the lines of the log
sys.stdout.flush()
sys.stdin.readline()
publish(range(120, 140), 9000)  # first, as a short record may fit into the file's last block, which it already has
publish(range(20, 120), 10)
sys.stdin.readline()
"""


class Workload:
    """A process that publishes 20 events, and 120 more when it is told to. Its output is kept in a file."""

    def __init__(self, directory: Path, output: Path, memory: Path) -> None:
        self.output = output
        self._memory = memory
        environment = os.environ | {"RISK_AUDIT_STAGING_DIR": str(memory)}
        command = [sys.executable, "-c", PROGRAM, str(directory / "risk_audit.jsonl")]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment)
        self._lines: list[bytes] = []
        while b"READY\n" not in self._lines:
            self._lines.append(self._read())

    def publish(self) -> None:
        """Publish the rest, and wait until all of it is on standard output."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()
        copies = Collector()
        while sum(b'"event_type":"THROTTLE"' in copy.record for copy in copies.records()) < 120:
            self._lines.append(self._read())
            copies.feed(self._lines[-1], "")

    def kill(self, *, forget: bool = True) -> None:
        """Kill -9, and, as when the pod is deleted, forget what shared memory held."""
        self._process.send_signal(signal.SIGKILL)
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        self._lines += self._process.stdout.readlines()
        self._process.stdout.close()
        self._process.stdin.close()
        self._process.wait()
        self.output.write_bytes(b"".join(self._lines))
        for file in self._memory.iterdir() if forget else ():
            file.unlink()

    def _read(self) -> bytes:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the workload ended"
        return line


@pytest.fixture
def start(tmp_path: Path, shared_memory: Path) -> Callable[[Path], Workload]:
    """Start the workload with its log in this directory."""
    return lambda directory: Workload(directory, tmp_path / "output", shared_memory)


def _numbers(directory: Path) -> list[int]:
    """Return the numbers of all events, each as often as it counts."""
    extents = Follower([(directory, None)], pytest.fail).skip()
    notices: list[str] = []
    events = list(History(extents, Selection(), notices.append).all())
    return [event.fields["data"]["number"] for event in events]


def _snapshot(directory: Path) -> dict[str, tuple[bytes, int]]:
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in directory.iterdir() if file.is_file()}


def _ingest(directory: Path, *arguments: object, capfd: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    capfd.readouterr()
    code = main(["ingest", str(directory), *map(str, arguments), "--json"])
    out, err = capfd.readouterr()
    assert err == ""
    return code, json.loads(out)


def test_what_a_full_volume_refused_is_put_back_from_standard_output(
    make_volume: MakeVolume, start: Callable[[Path], Workload], capfd: pytest.CaptureFixture[str]
) -> None:
    """The volume is full, the process is killed, and its memory is lost: only its output is left."""
    volume = make_volume(16)
    directory = volume.path / "audit"
    workload = start(directory)
    ballast = volume.fill()
    workload.publish()
    workload.kill()
    segments = list_segments(directory)
    assert main(["ingest", str(directory), str(workload.output)]) == 74
    assert list_segments(directory) == segments
    ballast.unlink()
    assert len(_numbers(directory)) < 140
    code, done = _ingest(directory, workload.output, capfd=capfd)
    assert code == 0
    assert done["conflicts"] == done["unreadable"] == done["foreign"] == done["waiting"] == []
    volume.remount()
    assert sorted(_numbers(directory)) == list(range(140))
    assert verify_tree(directory, [], lambda _: None).worst is None
    before = _snapshot(directory)
    assert _ingest(directory, workload.output, capfd=capfd)[0] == 0
    assert _snapshot(directory) == before


def test_what_the_page_cache_shows_after_a_failed_sync_does_not_count(
    failing_device: Volume, open_log: Open, make_event: Event, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The device never got it, and reading proves nothing: what is there is read from the device."""
    with open_log(tmp_path / "log") as log:
        for number in range(50):
            log.append(make_event(number, padding=4000))
    (name,) = list_segments(tmp_path / "log")
    content = (tmp_path / "log" / str(name)).read_bytes()
    records = [from_line(line)[0] for line in content.splitlines() if b'"AUDIT_' not in line]
    lines = [line for record in records for line in emergency_lines(name.incarnation, decode(record)["seq"], record)]
    (tmp_path / "output").write_bytes(b"".join(lines))
    directory = failing_device.path / "audit"
    directory.mkdir()
    ballast = failing_device.fill_backing()
    with (directory / str(name)).open("wb") as segment:
        segment.write(content)
        segment.flush()
        with pytest.raises(OSError, match=r"No space left|Input/output error"):
            os.fsync(segment.fileno())
    ballast.unlink()
    if main(["ingest", str(directory), str(tmp_path / "output")]) == 74:  # the kernel gave the volume up: mount it anew
        failing_device.remount()
    assert _ingest(directory, tmp_path / "output", capfd=capfd)[0] == 0
    failing_device.remount()
    assert sorted(_numbers(directory)) == list(range(50))


def test_what_the_next_process_took_over_from_memory_is_not_put_in_twice(
    make_volume: MakeVolume, start: Callable[[Path], Workload], open_log: Open, capfd: pytest.CaptureFixture[str]
) -> None:
    """A container that restarts finds the ring; then there is nothing to do."""
    volume = make_volume(16)
    directory = volume.path / "audit"
    workload = start(directory)
    ballast = volume.fill()
    workload.publish()
    workload.kill(forget=False)
    ballast.unlink()
    code, done = _ingest(directory, workload.output, capfd=capfd)
    assert code == 3
    assert len(done["waiting"]) > 100
    log = open_log(directory)
    assert log.wait_ready(10)
    log.close()
    before = _snapshot(directory)
    code, done = _ingest(directory, workload.output, capfd=capfd)
    assert code == 0
    assert _snapshot(directory) == before
    assert sorted(_numbers(directory)) == list(range(140))
