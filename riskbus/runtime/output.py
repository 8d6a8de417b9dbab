"""Standard output that never blocks anyone: emergency copies and anchors."""

import atexit
import os
import select
import socket
import stat
import sys
from contextlib import suppress
from weakref import WeakSet

from riskbus.runtime.courier import Courier

_STDOUT = 1


class Output:
    """Writes whole lines to standard output on a thread of its own. Thread-safe.

    A pipe is opened again as this object's own, without blocking, so that neither side's flags touch the other; that
    matters because container runtimes stop reading now and then.

    Attributes:
        dropped: lines that were not written: nobody reads, or too many wait already.
    """

    def __init__(self) -> None:
        self._courier = Courier("riskbus-output", self.release)
        self._descriptor = -1
        self.dropped = 0
        _all.add(self)

    def write(self, line: bytes) -> None:
        """Queue a line of at most 4,096 bytes, with its line feed. Never blocks."""
        if sys.is_finalizing():  # no thread starts any more
            self._deliver(line, 0)
        elif not self._courier.offer(lambda: self._deliver(line)):
            self.dropped += 1

    def finish(self, timeout: float) -> None:
        """Write what is queued, for at most so many seconds. What comes later opens standard output again, and ends."""
        self._courier.finish(timeout)

    def release(self) -> None:
        """Close the descriptor; at the end, and for the child after a fork."""
        if self._descriptor >= 0:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1

    def _deliver(self, line: bytes, patience_ms: int | None = None) -> None:
        try:
            if self._descriptor < 0:
                self._descriptor = _open_stdout()
            ready = select.poll()
            ready.register(self._descriptor, select.POLLOUT)
            if ready.poll(patience_ms):
                self._write(line)
            else:
                self.dropped += 1
        except OSError:  # nobody reads, or standard output is closed
            self.dropped += 1

    def _write(self, line: bytes) -> None:
        if stat.S_ISSOCK(os.fstat(self._descriptor).st_mode):
            with socket.socket(fileno=os.dup(self._descriptor)) as peer:
                peer.send(line, socket.MSG_DONTWAIT)
        else:
            os.write(self._descriptor, line)


def _open_stdout() -> int:
    mode = os.fstat(_STDOUT).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        with suppress(OSError):  # not permitted where the pipe belongs to another user
            return os.open(f"/proc/self/fd/{_STDOUT}", flags)
    return os.dup(_STDOUT)  # a file: its position must stay shared with every other writer


_EXIT_TIMEOUT = 1.0  # seconds that lines which were queued last get when the process ends
_all: WeakSet[Output] = WeakSet()


def _finish_all() -> None:
    for output in list(_all):
        output.finish(_EXIT_TIMEOUT)


atexit.register(_finish_all)
