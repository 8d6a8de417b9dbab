"""Starts the program that looks after closed segments, and takes what it says."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from time import monotonic
from typing import Any

from riskbus.format.pruning import KIND
from riskbus.metrics import AuditMetrics
from riskbus.settings import AuditSettings
from riskbus.store import posix
from riskbus.store.upkeep import Result, Task, is_needed

_PROGRAM = "from riskbus.store.upkeep import main; main()"
_INTERVAL = 60.0  # seconds between two looks at the directory
_PRUNING = 86400.0  # seconds between two searches for segments whose time is over
_SEALING = 5.0  # seconds after which a checkpoint covers a record
_POLL = 1.0  # seconds between two looks at the program


class Upkeep:
    """The program that moves, compresses and prunes closed segments. For one thread, which may wait for the volume."""

    def __init__(
        self,
        settings: AuditSettings,
        incarnation: str,
        metrics: AuditMetrics,
        say: Callable[[int, str], None],
        record: Callable[[str, dict[str, Any]], None],
    ) -> None:
        self._settings = settings
        self._incarnation = incarnation
        self._metrics = metrics
        self._say = say
        self._record = record
        self._child: subprocess.Popen[bytes] | None = None
        self._answer = -1
        self._said: set[str] = set()
        self._stopped = False
        self._prune_at = 0.0
        self._declared = False  # whether AUDIT_PRUNED names segments that are still there
        self._due = 0.0

    def turn(self, *, on_second: bool) -> None:
        """Start the program if it is time and there is something to do, or take its result. Never waits for it.

        Args:
            on_second: whether the second directory is being written, so that nothing is moved back from it.
        """
        if self._stopped or monotonic() < self._due:
            return
        try:
            if self._child is None:
                self._due = monotonic() + _INTERVAL
                self._start(self._task(on_second=on_second))
            else:
                self._due = monotonic() + _POLL
                self._poll(self._child)
        except (OSError, ValueError) as error:  # no memory for a process, a volume that refuses to be read, no answer
            self._complain(f"closed segments are not looked after: {error}")

    def adopt(self, settings: AuditSettings) -> None:
        """Go on with other settings, and look at the directory at the next turn if they differ. Any thread."""
        if settings != self._settings:
            self._settings = settings
            self._prune_at = 0.0
            self.hurry()

    def hurry(self) -> None:
        """Look at the directory at the next turn."""
        self._due = 0.0

    def stop(self) -> None:
        """End the program, wherever it is: what it has begun, a later one finishes. Any thread."""
        self._stopped = True
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            posix.close(self._answer)
            self._answer = -1

    def forget(self) -> None:
        """Let go of the program; for the child after a fork."""
        if self._child is not None:
            self._child.returncode = 0  # not ours to wait for

    def _task(self, *, on_second: bool) -> Task:
        settings = self._settings
        second = "" if settings.second_dir is None or on_second else str(settings.second_dir)
        days = settings.retention_days if monotonic() >= self._prune_at else 0
        return Task(
            str(settings.path.parent),
            settings.path.stem,
            self._incarnation,
            compressing=settings.rotation_compress,
            second=second,
            days=days,
            keep=settings.rotation_keep,
            declared=self._declared,
        )

    def _start(self, task: Task) -> None:
        needed = is_needed(task)
        if task.days:
            self._prune_at = monotonic() + _PRUNING
        if not needed:
            return
        request = json.dumps({"task": asdict(task), "parent": os.getpid()})
        self._answer = os.memfd_create("riskbus-upkeep")
        self._child = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, request],
            stdin=subprocess.DEVNULL,
            stdout=self._answer,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self._due = monotonic() + _POLL
        if self._stopped:  # meanwhile
            self.stop()

    def _poll(self, child: "subprocess.Popen[bytes]") -> None:
        if child.poll() is None:
            return
        self._child = None
        with os.fdopen(self._answer, "rb") as answer:
            answer.seek(0)
            result = Result(**json.load(answer))
        self._metrics.moved_back += result.moved
        self._metrics.compressed += result.compressed
        self._metrics.pruned += result.removed
        for payload in result.expired:
            self._record(KIND, payload)
        self._declared = bool(result.expired) or (self._declared and not result.removed)
        if result.expired:
            self._due = monotonic() + _SEALING
        for problem in result.problems:
            self._complain(problem)

    def _complain(self, problem: str) -> None:
        if problem not in self._said:
            self._said.add(problem)
            self._say(logging.WARNING, f"AUDIT LOG RISK: {problem}")
