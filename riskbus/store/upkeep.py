"""What is to be done with closed segments, and the program that does it.

It runs in a process of its own, at the lowest priority and mostly resting, so that neither the interpreter's lock nor
the processor of the process that trades is taken. It may be killed at any moment.
"""

import json
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from time import monotonic, sleep, time, time_ns
from typing import Any

from riskbus.clock import read_clock_status
from riskbus.errors import FormatError
from riskbus.format.names import SegmentName
from riskbus.store.relocation import compress, move
from riskbus.store.retention import Rules, find_declared, find_expired, remove
from riskbus.store.stream import list_segments

_CLOSED = 60.0  # seconds since the last write after which a segment that has a successor is compressed
_ENDED = 3600.0  # the same for the last segment of an incarnation, whose writer may be where locks do not reach
_SHARE = 4  # how many times as long as it works it rests: a fifth of one processor


@dataclass(frozen=True, slots=True)
class Task:
    """What to look after.

    Attributes:
        directory: the log's.
        stem: of its segments' names.
        incarnation: whose process asks.
        compressing: whether closed segments are to be compressed.
        second: the directory whose segments are to be moved back, "" for none.
        days: after which segments may be pruned, 0 if none are to be looked for.
        keep: closed segments that stay, however old they are.
        declared: whether the incarnation has declared segments that are to be removed.
    """

    directory: str
    stem: str
    incarnation: str
    compressing: bool
    second: str
    days: int = 0
    keep: int = 0
    declared: bool = False


@dataclass(slots=True)
class Result:
    """What was done.

    Attributes:
        moved: how many segments were moved back.
        compressed: how many segments were compressed.
        expired: payloads of AUDIT_PRUNED for what may be removed once they are in the log.
        removed: how many segments were removed.
        problems: what the kernel refused, one sentence each.
    """

    moved: int = 0
    compressed: int = 0
    expired: list[dict[str, Any]] = field(default_factory=list)
    removed: int = 0
    problems: list[str] = field(default_factory=list)


def is_needed(task: Task) -> bool:
    """Whether there is anything to do; reads directories. Raises OSError."""
    old = task.days and len(list_segments(Path(task.directory))) > task.keep
    return bool(old or task.declared or any(_movable(task)) or any(_compressible(task, time())))


def look_after(task: Task, pace: "Pace") -> Result:
    """Do everything that can be done now."""
    result = Result()
    _move(task, pace, result)
    _prune(task, result)
    for segment in list(_compressible(task, time())):
        try:
            result.compressed += compress(segment, pace.rest)
        except OSError as error:
            result.problems.append(f"{segment} cannot be compressed: {error}")
    return result


def _move(task: Task, pace: "Pace", result: Result) -> None:
    for segment in _movable(task):
        try:
            if not move(segment, Path(task.directory), pace.rest):
                return  # the ones after it are not to come before it
        except OSError as error:
            result.problems.append(f"{segment} cannot be moved back to {task.directory}: {error}")
            return
        result.moved += 1


def _prune(task: Task, result: Result) -> None:
    directory = Path(task.directory)
    try:
        if task.declared:
            for pruned in find_declared(directory, task.stem, task.incarnation):
                result.removed += remove(directory, pruned)
        elif task.days:
            rules = Rules(task.days, task.keep, time_ns(), read_clock_status())
            for pruned in find_expired(directory, task.stem, task.incarnation, rules):
                result.expired.append(pruned.payload(task.days))
    except (FormatError, OSError) as error:
        result.problems.append(f"segments of {directory} that are old enough stay: {error}")


def _movable(task: Task) -> Iterator[Path]:
    second = Path(task.second) if task.second else None
    if second is not None and second.is_dir():
        yield from (second / str(name) for name in list_segments(second) if name.stem == task.stem)


def _compressible(task: Task, now: float) -> Iterator[Path]:
    directory = Path(task.directory)
    names = [name for name in list_segments(directory) if name.stem == task.stem] if task.compressing else []
    ended = [name.incarnation for name in names if name.incarnation != task.incarnation]
    kept = {task.incarnation, ended[-1] if ended else ""}  # the end of the newest is what the next AUDIT_OPEN reads
    for incarnation, group in groupby(names, key=attrgetter("incarnation")):
        *closed, last = group
        yield from (path for name in closed if (path := _quiet(directory, name, now - _CLOSED)))
        if incarnation not in kept and (path := _quiet(directory, last, now - _ENDED)):
            yield path


def _quiet(directory: Path, name: SegmentName, since: float) -> Path | None:
    path = directory / str(name)
    try:
        status = path.lstat()
    except FileNotFoundError:  # it is compressed
        return None
    return path if stat.S_ISREG(status.st_mode) and status.st_mtime < since else None


class Pace:
    """Rests much longer than it works, and ends the process when the one that started it has ended."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._resumed = monotonic()

    def rest(self) -> None:
        """Rest for a multiple of the time since the last rest."""
        if os.getppid() != self._parent:
            sys.exit(1)
        sleep(_SHARE * (monotonic() - self._resumed))
        self._resumed = monotonic()


def main() -> None:
    """Do the task that the argument describes, and write the result to standard output."""
    request = json.loads(sys.argv[1])
    os.nice(19)
    result = look_after(Task(**request["task"]), Pace(request["parent"]))
    json.dump(asdict(result), sys.stdout)
