"""Runs writers in processes of their own, so that hashing, syncing and a volume that hangs are none of the trader's.

    this process                                        the writer's process (riskbus.runtime.child)
    publishers ──► ring (shared memory) ──────────────► writer ──► volume
    service thread ◄── requests, news ── socket ──────┘   ▲
    whoever waits ──── eventfd ───────────────────────────┘

The child asks for numbers, for what waits outside the ring, and to log; it tells what is durable where someone waits,
and how it does. It ends when this process does.
"""

import ctypes
import logging
import os
import platform
import select
import subprocess
import sys
from contextlib import suppress
from io import FileIO
from multiprocessing.connection import Connection
from pathlib import Path
from socket import socket, socketpair
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from riskbus.errors import SettingsError
from riskbus.format.checkpoint import Checkpoint
from riskbus.metrics import AuditMetrics
from riskbus.runtime.host import Equipment
from riskbus.runtime.progress import Moment, Progress
from riskbus.store import posix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from riskbus.mount import MountReport

# It ends at once, as whoever closes a log waits: taking an interpreter apart takes longer than all the rest of closing.
_PROGRAM = "from os import _exit; from riskbus.runtime.child import main; main(); _exit(0)"
# Not os.eventfd_write, which lets go of the interpreter's lock for this instant and takes it again before any waiting
# thread can: a publisher that rings more often than the switch interval would starve every other thread.
_eventfd_write = ctypes.PyDLL(None).eventfd_write
_eventfd_write.argtypes = (ctypes.c_int, ctypes.c_uint64)
_ORDERED = {"x86_64", "amd64"}  # processors that show stores to others in their order; see riskbus.store.ring


class _Bell:
    """An eventfd that is closed when nobody holds this object any more.

    Whoever rings it holds it: so nobody ever writes to a number that has become another file's.
    """

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def ring(self) -> None:
        _eventfd_write(self.descriptor, 1)  # what it answers does not matter: full means rung

    def __del__(self, close: "Callable[[int], None]" = posix.close) -> None:
        close(self.descriptor)


class ProcessHost:
    """Runs writers in child processes of this one."""

    def __init__(self, equipment: Equipment) -> None:
        """Prepare; raises SettingsError where processes cannot share memory in order."""
        if platform.machine().lower() not in _ORDERED:
            raise SettingsError(
                f"RISK_AUDIT_WRITER=process needs an x86-64 processor, this is {platform.machine()}; use thread"
            )
        self._equipment = equipment
        self._ring = equipment.staging.ring
        self._bell: _Bell | None = _Bell()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any] | None = None
        self._called: FileIO | None = None  # an eventfd that says that there are messages of the writer
        self._earlier = AuditMetrics(equipment.metrics.path)  # what earlier writers of this incarnation counted
        self._lent: int | None = None  # the number that the writer claimed last
        self._unused: list[int] = []  # numbers that writers claimed and did not live to use
        self.progress = Progress(self._ring, self.wake)
        self.ended = Event()
        self.failing = False
        self.mount: MountReport | None = None
        self.latest: Checkpoint | None = None
        self._answers: dict[str, Callable[..., object]] = {
            "claim": self._claim,
            "stage": self._stage,
            "claimed": lambda: equipment.staging.claimed,
            "waiting_aside": equipment.staging.waiting_aside,
            "declare": equipment.staging.declare,
            "put": equipment.staging.put,
            "settings": lambda: equipment.settings,
        }
        self._hear: dict[str, Callable[..., object]] = {
            "say": equipment.say,
            "checkpoint": self._note_checkpoint,
            "news": self._note_news,
        }

    def wake(self) -> None:
        """End the writer's wait. Any thread; does not block."""
        bell = self._bell
        if bell is not None:
            bell.ring()

    def start(self, *, distrust: bool = False) -> None:
        """Begin a writer."""
        self._earlier.__dict__.update(vars(self._equipment.metrics))
        have, bell = self._equipment, self._bell
        if bell is None:
            return  # closed meanwhile
        self.ended.clear()
        try:
            mine, its, called = _channel()
        except OSError as error:
            self._complain(error)
            self.ended.set()
            return
        self._connection, self._called = Connection(mine.detach()), called
        connection = self._connection
        numbers = [self._ring.descriptor, bell.descriptor, called.fileno(), its.fileno()]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, *map(str, numbers), str(os.getpid())],
                pass_fds=numbers,
                stdin=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": _python_path()},
            )
            connection.send((have.settings, have.signer.name, have.signer.seed, self._ring.path, distrust))
        except OSError as error:  # no more processes or memory
            self._complain(error)
        finally:
            its.close()
        service = [connection, called, self._process]
        Thread(target=self._serve, args=service, name="riskbus-service", daemon=True).start()

    def _complain(self, error: OSError) -> None:
        """Say why there is no writer; the overseer tries again."""
        message = f"AUDIT LOG RISK: no process for the audit writer ({error.strerror})"
        self._equipment.say(logging.WARNING, message)

    def abandon(self) -> None:
        """Kill the writer; one that hangs in the kernel ends when the volume answers, without another step."""
        if self._process is not None:
            self._process.kill()
        self._process = self._connection = None
        self._take_back()
        self.ended.set()

    def count(self, name: str) -> None:
        """Count something in the name of the writer."""
        for metrics in (self._earlier, self._equipment.metrics):
            setattr(metrics, name, getattr(metrics, name) + 1)

    def release(self) -> None:
        """Close descriptors."""
        self._bell = None
        if self._connection is not None:
            self._connection.close()
        if self._called is not None:
            self._called.close()
        if self._process is not None:
            self._process.returncode = self._process.returncode or 0  # not ours to wait for, in the child after a fork

    def _serve(
        self, connection: "Connection[Any, Any]", called: FileIO, process: "subprocess.Popen[bytes] | None"
    ) -> None:
        with suppress(EOFError, OSError, ValueError), called:  # the end of the writer, or of this log
            for kind, *details in _messages(connection, called):
                if connection is not self._connection:
                    break  # it was given up
                if kind in self._answers:
                    connection.send(self._answers[kind](*details))
                else:
                    self._hear[kind](*details)
        if process is not None:
            process.wait()
        if connection is self._connection:
            self._take_back()
            self.ended.set()

    def _take_back(self) -> None:
        lent, self._lent = self._lent, None
        if lent is not None and lent >= self._ring.released and self._ring.get(lent) is None:
            self._unused.append(lent)

    def _claim(self) -> int:
        self._lent = self._unused.pop() if self._unused else self._equipment.staging.claim()
        return self._lent

    def _stage(self, body: bytes, kind: int) -> None:
        seq = self._unused.pop() if self._unused else self._equipment.staging.claim()
        self._equipment.staging.put(seq, body, kind)

    def _note_checkpoint(self, checkpoint: Checkpoint) -> None:
        self.latest = checkpoint
        self._equipment.on_checkpoint(checkpoint)

    def _note_news(self, metrics: AuditMetrics, moments: list[Moment]) -> None:
        self.failing = bool(metrics.failing)
        self.mount = metrics.mount
        metrics.absorb(self._earlier)
        self._equipment.metrics.__dict__.update(vars(metrics))
        self._ring.overflow.release(self._ring.released)  # in this process, too
        if moments:
            self.progress.call_back(moments)


def _channel() -> tuple[socket, socket, FileIO]:
    """Return both ends of a connection, and what tells of messages; raises OSError where no descriptor is left."""
    called = FileIO(os.eventfd(0, os.EFD_CLOEXEC))
    try:
        return *socketpair(), called
    except OSError:
        called.close()
        raise


def _messages(connection: "Connection[Any, Any]", called: FileIO) -> "Iterator[tuple[Any, ...]]":
    """Yield what a writer sends; raises EOFError at its end, OSError or ValueError when one of the two was closed.

    Nobody waits at the socket itself: the kernel lets whoever waits there run in the sender's place, on the sender's
    processor, while a writer under load has better things to do.
    """
    ready = select.poll()
    ready.register(called, select.POLLIN)
    ready.register(connection, 0)  # its end only
    while True:
        events = dict(ready.poll())
        if called.fileno() in events:
            os.eventfd_read(called.fileno())  # before the messages, as another may come
        while connection.poll() or connection.fileno() in events:
            yield connection.recv()


def _python_path() -> str:
    package = str(Path(__file__).parents[2])
    return os.pathsep.join(dict.fromkeys([package, *(path for path in sys.path if path)]))
