"""Where segments are begun: in the log's directory, or in a second one while the first refuses."""

import errno
from contextlib import suppress
from pathlib import Path
from threading import Thread
from time import monotonic

from riskbus.store import posix

_FIRST_PAUSE = 0.1  # seconds; a full volume is often helped within one
_LONGEST_PAUSE = 5.0  # seconds; recovery is noticed this soon
PROBE_MARGIN = 64 << 10
"""Bytes that must be free beyond what waits before writing goes on."""


class Pause:
    """The growing time between two attempts, in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._length = self._until = 0.0

    @property
    def over(self) -> bool:
        """Whether it is time for the next attempt."""
        return monotonic() >= self._until

    def begin(self, *, first: bool, at_once: bool = False) -> None:
        """Wait after a failure: the first of a row for a short time, or not at all, each further one for longer."""
        if first:
            self._length = 0.0 if at_once else _FIRST_PAUSE
        else:
            self._length = min(max(self._length * 2, _FIRST_PAUSE), _LONGEST_PAUSE)
        self._until = monotonic() + self._length


class Places:
    """The log's directory and the second one. Belongs to the writer's thread.

    Attributes:
        active: the directory in which the next segment is begun.
    """

    def __init__(self, first: Path, second: Path | None) -> None:
        self._first = first
        self._second = second
        self._devices: dict[Path, int] = {}
        self._pause = Pause()
        self._probing: Thread | None = None
        self._returned = False
        self.active = first

    @property
    def on_second(self) -> bool:
        """Whether the second directory stands in for the first."""
        return self.active is not self._first

    def prepare(self, probed: int) -> Path:
        """Return the active directory, made if need be; it must be able to take `probed` bytes, 0 asks for nothing.

        Raises:
            OSError: it refuses, or another file system is in its place: then writing there would go to whatever lies
                below the volume that is gone.
        """
        self._examine(self.active, probed)
        return self.active

    def give_way(self) -> bool:
        """Let the second directory stand in after the first refused; False if there is none, or it refused too."""
        if self._second is None or self.on_second:
            self.active = self._first
            return False
        self.active = self._second
        self._pause.begin(first=True)
        return True

    def go_back(self) -> bool:
        """Whether the first directory takes records again; then it is the active one. Never waits for it."""
        if self._returned and self._probing is None:
            self._returned = False
            self.active = self._first
            return True
        if self._probing is None and self._pause.over:
            self._probing = Thread(target=self._probe, name="riskbus-probe", daemon=True)
            self._probing.start()
        return False

    def _probe(self) -> None:  # on a thread of its own: a volume that hangs must not stop the one that does not
        with suppress(OSError):
            self._examine(self._first, PROBE_MARGIN)
            self._returned = True
        self._pause.begin(first=False)
        self._probing = None

    def _examine(self, directory: Path, probed: int) -> None:
        known = self._devices.get(directory)
        if known is not None and known != _device(directory):
            raise OSError(errno.ESTALE, "the volume is gone, and another file system is in its place")
        directory.mkdir(parents=True, exist_ok=True)
        self._devices[directory] = directory.stat().st_dev
        if probed:
            posix.probe(directory, probed)


def _device(directory: Path) -> int:
    """Return the device of a directory, or of where it would be made."""
    while True:
        try:
            return directory.stat().st_dev
        except FileNotFoundError:
            directory = directory.parent
