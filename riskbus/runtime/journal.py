"""Records on their way to disk, in order, whatever the volume does.

                      every batch: write, sync
                        ┌────────┐
                        ▼        │
    opening ───────► writing ────┘
                        │  ▲
     OSError: abandon   │  │  a new segment takes the whole backlog
     the descriptor     ▼  │
                      failing ──► each record once to the emergency stream; try again after a pause

The backlog holds every record that is not yet durable, so a new segment can always take all of them: after a failed
write or sync nothing is known about what the old one holds, and asking again proves nothing.
"""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, perf_counter
from typing import NamedTuple

from riskbus.format.names import SegmentName
from riskbus.format.record import from_line
from riskbus.metrics import AuditMetrics
from riskbus.settings import AuditSettings, Durability
from riskbus.store import posix
from riskbus.store.segment import Segment

_UNSYNCED_LIMIT = 8 << 20  # bytes after which even durability `os` syncs, so that the backlog stays small
_FIRST_PAUSE = 0.1  # seconds; a full volume is often helped within one
_LONGEST_PAUSE = 5.0  # seconds; recovery is noticed this soon
_PROBE_MARGIN = 64 << 10  # bytes that must be free beyond the backlog before writing goes on


class Entry(NamedTuple):
    """A record that is not yet durable.

    Attributes:
        seq: its number.
        line: its line in the file.
        leaf: its leaf hash.
        kind: as in `Staged`.
    """

    seq: int
    line: bytes
    leaf: bytes
    kind: int


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which the volume refused records, and which it got afterwards.

    Attributes:
        cause: the kernel's name and words for the first error.
        seconds: how long it lasted.
        first_seq, last_seq: the records that had to wait.
    """

    cause: str
    seconds: float
    first_seq: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class Listener:
    """Whom a journal tells what. Called on the writer's thread; must not block.

    Attributes:
        durable: these entries are durable.
        emergency: the record with this number is not durable and the volume refuses it.
        failed: the volume began to refuse.
        resumed: the volume took everything again.
        segment_begun: a new segment is the active one.
    """

    durable: Callable[[list[Entry]], None]
    emergency: Callable[[int, bytes], None]
    failed: Callable[[OSError], None]
    resumed: Callable[[Outage], None]
    segment_begun: Callable[[Segment], None]


class Journal:
    """Appends entries to segments and makes them durable. Belongs to the writer's thread.

    Attributes:
        segment: the active one, None where the next record begins one.
        backlog_bytes: size of the lines that are not yet durable.
    """

    def __init__(self, settings: AuditSettings, incarnation: str, metrics: AuditMetrics, listener: Listener) -> None:
        self._settings = settings
        self._directory = settings.path.parent
        self._incarnation = incarnation
        self._metrics = metrics
        self._listener = listener
        self.segment: Segment | None = None
        self._segments = 0
        self._backlog: list[Entry] = []
        self._written = 0  # entries of the backlog that the active segment holds
        self._announced = -1  # number of the last entry that went to the emergency stream
        self._cause: OSError | None = None
        self._failed_at = self._retry_at = self._pause = 0.0
        self.backlog_bytes = 0

    @property
    def failing(self) -> bool:
        """Whether the volume refuses records."""
        return self._cause is not None

    @property
    def backlog(self) -> list[Entry]:
        """The entries that are not yet durable, in order."""
        return self._backlog

    def append(self, entries: list[Entry]) -> None:
        """Take entries, write them, and make them durable as the settings say. Never raises OSError."""
        self._backlog += entries
        self.backlog_bytes += sum(len(entry.line) for entry in entries)
        self._metrics.backlog = len(self._backlog)
        lazy = self._settings.durability is Durability.OS and self.backlog_bytes < _UNSYNCED_LIMIT
        self.push(sync=not lazy)

    def push(self, *, sync: bool = True) -> None:
        """Write what is not yet written and sync it. Never raises OSError."""
        while self._backlog and not (self.failing and monotonic() < self._retry_at):
            try:
                self._write()
                if sync:
                    self._sync()
            except OSError as error:
                self._fail(error)
            else:
                return
        if self.failing:
            self.announce()

    def announce(self) -> None:
        """Send each entry that is not durable to the emergency stream, once."""
        for entry in list(self._backlog):
            if entry.seq > self._announced:
                self._listener.emergency(entry.seq, from_line(entry.line)[0])
                self._announced = entry.seq

    def inspect(self) -> str:
        """Look at the active segment from outside; return what is wrong with it, or "".

        A segment that was deleted, replaced or shortened is left, and the next record begins a new one.
        """
        finding = self.segment.finding() if self.segment else ""
        if finding:
            self._leave_segment()
        return finding

    def release(self) -> None:
        """Close the descriptor without writing: for the end, and for the child after a fork."""
        if self.segment:
            self.segment.abandon()

    def _write(self) -> None:
        if self.segment and self._due_for_rotation(self.segment):
            self._sync()
            self._leave_segment()
        if not self._backlog[self._written :]:
            return
        if self.segment is None:
            self._begin_segment()
        data = b"".join([entry.line for entry in self._backlog[self._written :]])
        self._active.write(data)
        self._metrics.bytes_written += len(data)
        self._written = len(self._backlog)

    @property
    def _active(self) -> Segment:
        if self.segment is None:
            raise OSError(errno.EBADF, "no segment is open")
        return self.segment

    def _begin_segment(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        if self.failing:
            posix.probe(self._directory, self.backlog_bytes + _PROBE_MARGIN)
        name = SegmentName(self._settings.path.stem, self._incarnation, self._segments, self._backlog[0].seq)
        self._segments += 1  # even if creating it fails: the name may be taken then
        self.segment = Segment(self._directory, name)
        self._metrics.segments += 1
        self._listener.segment_begun(self.segment)

    def _due_for_rotation(self, segment: Segment) -> bool:
        settings = self._settings
        return segment.size >= settings.rotation_max_size or monotonic() - segment.created >= settings.rotation_max_age

    def _sync(self) -> None:
        if not self._written:
            return
        started = perf_counter()
        self._active.sync()
        self._metrics.observe_sync(perf_counter() - started)
        durable, self._backlog = self._backlog[: self._written], self._backlog[self._written :]
        self._written = 0
        self.backlog_bytes = sum(len(entry.line) for entry in self._backlog)
        self._metrics.backlog = len(self._backlog)
        self._metrics.durable_seq = durable[-1].seq
        self._listener.durable(durable)
        if self._cause and not self._backlog:
            self._resume(self._cause, durable)

    def _fail(self, error: OSError) -> None:
        self._metrics.write_failures += 1
        self._leave_segment()
        now = monotonic()
        if self._cause is None:
            self._cause, self._failed_at = error, now
            self._metrics.failing = 1
            self._pause = _FIRST_PAUSE if error.errno in posix.FULL else 0.0  # else another file may do at once
            self._listener.failed(error)
        else:
            self._pause = min(max(self._pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE)
        self._retry_at = now + self._pause

    def _resume(self, cause: OSError, durable: list[Entry]) -> None:
        self._cause = None
        self._metrics.failing = 0
        name = errno.errorcode.get(cause.errno or 0, "EIO")
        seconds = monotonic() - self._failed_at
        self._listener.resumed(Outage(f"{name}: {cause.strerror}", seconds, durable[0].seq, durable[-1].seq))

    def _leave_segment(self) -> None:
        if self.segment:
            self.segment.abandon()
        self.segment = None
        self._written = 0
