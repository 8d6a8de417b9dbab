"""What `append` costs while its volume is frozen, full or broken, or the writer's process was killed. Needs root.

Real faults on small file systems of their own. In each run the same log is measured twice, 20,000 events a second:
healthy, and then with the fault. Standard output, which gets the emergency copies, is a pipe that somebody reads, as in
a container. Then the fault ends, and every event must be in the log or be returned by `close` as not durable: after an
EIO the kernel may have given up the whole file system.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from benchmarks.common import Figure, Options, Report, SkippedError, main
from benchmarks.footprint import children
from benchmarks.load import WRITERS, ready_events, recorded
from benchmarks.measuring import RunError, Sample, interleave, paced, typical
from riskbus import AuditLog
from riskbus.testing import read_events
from tests.faults.volumes import TOOLS, Volume, make_image, mount, sh

_GOAL = 1.3  # times the healthy log's
_KEYS = ("p50", "p99", "p99.9")
_VOLUME_MIB, _BACKING_MIB = 128, 160
_HEALTHY, _BROKEN, _KILLED = "no fault", "EIO", "killed writer"


@contextmanager
def _ballast(fill: Callable[[], Path]) -> Iterator[None]:
    ballast = fill()
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def _killed(_: Volume) -> Iterator[None]:
    for child in children():
        os.kill(int(child), signal.SIGKILL)
    yield


_FAULTS: dict[str, Callable[[Volume], AbstractContextManager[None]]] = {
    _HEALTHY: lambda _: nullcontext(),
    "frozen": lambda volume: volume.frozen(),
    "full": lambda volume: _ballast(volume.fill),
    _BROKEN: lambda volume: _ballast(volume.fill_backing),
    _KILLED: _killed,
}


def ours(path: str, place: str, fault: str, count: int) -> Sample:
    """Append ready events to a healthy log, and then to one with a fault."""
    volume = Volume(Path(place, "volume"), Path(place, "backing", "image"))
    reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    if reader.stdin:
        os.dup2(reader.stdin.fileno(), 1)
    log = AuditLog(path)
    if not log.wait_ready(30):
        raise RunError(f"the volume of {path} does not answer")
    healthy = paced(log.append, ready_events(), count)
    sh("sync", "-f", volume.path)  # the directory is to be whole: it is the log's file that breaks
    with _FAULTS[fault](volume):
        found = paced(log.append, ready_events(), count)
    log.flush(20)
    returned = _numbers(map(orjson.loads, log.close(10)))
    written = _numbers(read_events(path))
    accounted = len(written | returned)
    if accounted != healthy["recorded"] + found["recorded"]:
        raise RunError(f"only {accounted} events are in the log or were returned by close")
    sample = found | {f"healthy {key}": healthy[key] for key in _KEYS}
    return sample | {"recorded": len(written), "returned": len(returned - written)}


def _numbers(records: Iterable[dict[str, Any]]) -> set[int]:
    return {record["seq"] for record in records if not record["event_type"].startswith("AUDIT_")}


@contextmanager
def _volume(directory: Path, fault: str) -> Iterator[str]:
    with TemporaryDirectory(dir=directory) as place:
        volume = Volume(Path(place, "volume"), Path(place, "backing", "image"))
        volume.image.parent.mkdir()
        if fault == _BROKEN:  # the device is a file with holes, and what is to fill them runs out
            sh("mount", "-t", "tmpfs", "-o", f"size={_BACKING_MIB}m", "tmpfs", volume.image.parent)
        make_image(volume.image, _VOLUME_MIB)
        mount(volume.image, volume.path)
        try:
            if fault == _BROKEN:
                volume.hollow_out()
            yield place
        finally:
            sh("umount", "-l", volume.path)
            if fault == _BROKEN:
                sh("umount", "-l", volume.image.parent)


def _run(directory: Path, writer: str, fault: str, count: int) -> Sample:
    with _volume(directory, fault) as place:
        return recorded(Path(place, "volume"), ours, place, fault, count, RISK_AUDIT_WRITER=writer)


def measure(options: Options) -> Report:
    """Bring on each fault, for each kind of writer."""
    if os.geteuid() or any(shutil.which(tool) is None for tool in TOOLS):
        raise SkippedError(f"it mounts small file systems: needs root, and {', '.join(TOOLS)}")
    count = options.count(10_000, 500)
    contenders = {
        f"{fault}, {writer} writer": partial(_run, options.directory, writer, fault, count)
        for writer in WRITERS
        for fault in _FAULTS
        if writer == "process" or fault != _KILLED
    }
    results = interleave(contenders, options.repetitions)
    columns = ("contender", *(f"healthy {key}" for key in _KEYS), *_KEYS, "returned")
    report = Report("append during a fault, 20,000 a second, microseconds", columns)
    report.add_medians(results, columns[1:])
    for name, samples in results.items():
        ratios: list[Sample] = [{"p99": sample["p99"] / sample["healthy p99"]} for sample in samples]
        goal = None if name.startswith(_HEALTHY) else _GOAL
        report.figures.append(Figure(f"append p99 / healthy, {name}", typical(ratios, "p99"), at_most=goal))
    return report


if __name__ == "__main__":
    main(measure)
