"""Builds interpose.c and steers it: which call fails, where the program stops, what its clock says."""

import mmap
import os
import subprocess
from collections.abc import Iterator
from enum import IntFlag
from errno import EIO
from pathlib import Path
from select import select

_SEEN, _KINDS, _FAIL_AT, _FAIL_COUNT, _ERROR, _STOP_EVERY, _CLOCK_SHIFT, _WORDS = range(8)
ALWAYS = 1 << 40
"""Calls that fail where all do from some call on."""


class Call(IntFlag):
    """Kinds of system call."""

    OPEN = 1
    WRITE = 2
    FDATASYNC = 4
    FSYNC = 8
    RENAME = 16
    SYMLINK = 32
    UNLINK = 64
    MKDIR = 128
    STAT = 256
    READ = 512


CHANGING = Call.OPEN | Call.WRITE | Call.FDATASYNC | Call.FSYNC | Call.RENAME | Call.SYMLINK | Call.UNLINK | Call.MKDIR
"""Every kind that may change what is on a volume."""


class Interposer:
    """Steers every process that was started with `environment`. Safe to use while they run.

    Args:
        folder: a directory of the test's own, for what they share.
        under: only calls that concern files below this path count.
    """

    def __init__(self, folder: Path, under: Path) -> None:
        library, control = folder / "interpose.so", folder / "control"
        source = Path(__file__).with_name("interpose.c")
        subprocess.run(["cc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source], check=True)
        control.write_bytes(bytes(8 * _WORDS))
        with control.open("r+b") as file:
            self._words = memoryview(mmap.mmap(file.fileno(), 0)).cast("q")
        self._stopped, self._go = folder / "control.stopped", folder / "control.go"
        os.mkfifo(self._stopped)
        os.mkfifo(self._go)
        self.environment = os.environ | {
            "LD_PRELOAD": str(library),
            "INTERPOSE_CONTROL": str(control),
            "INTERPOSE_UNDER": str(under),
        }

    @property
    def seen(self) -> int:
        """How many calls of the wanted kinds there were since `fail` or `stop_every`."""
        return self._words[_SEEN]

    def fail(self, kinds: Call, number: int, error: int = EIO, calls: int = 1) -> None:
        """Let the call with this number fail, and all of so many calls from there on; 0 lets none fail."""
        self._words[_KINDS], self._words[_ERROR], self._words[_FAIL_COUNT] = kinds, error, calls
        self._words[_SEEN], self._words[_FAIL_AT] = 0, number

    def stop_every(self, kinds: Call, number: int) -> None:
        """Let the program stop after every so many calls, until `stops` goes on."""
        self._words[_KINDS], self._words[_SEEN], self._words[_STOP_EVERY] = kinds, 0, number

    def shift_clock(self, seconds: float) -> None:
        """Set the real-time clock of the program forward, or back; the machine's is not touched."""
        self._words[_CLOCK_SHIFT] = int(seconds * 10**9)

    def stops(self, process: "subprocess.Popen[str]") -> Iterator[None]:
        """Iterate over the stops of the program until it ends; it goes on with the next turn."""
        ended = os.pidfd_open(process.pid)
        with self._stopped.open("r+b", buffering=0) as stopped, self._go.open("r+b", buffering=0) as go:
            while stopped.fileno() in select([stopped.fileno(), ended], [], [])[0]:
                stopped.read(1)
                yield
                go.write(b"\0")
        os.close(ended)
