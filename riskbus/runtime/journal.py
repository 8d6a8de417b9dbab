"""Records on their way to disk, in order, whatever the volume does.

                      every batch: write, sync
                        ┌────────┐
                        ▼        │      OSError: abandon the descriptor
    opening ───────► writing ────┘ ─────────────────────────────────────► on the second directory, if there is one
                        │  ▲  ▲                                             │       │
     OSError: abandon   │  │  └──── the first takes records again ◄─────────┘       │
     the descriptor     ▼  │  a new segment takes the whole backlog                 │
                      failing ◄─────────────────────────────────────────────────────┘
                         └──► each record once to the emergency stream; try again after a pause

The backlog holds every record that is not yet durable, so a new segment can always take all of them: after a failed
write or sync nothing is known about what the old one holds, and asking again proves nothing.
"""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, perf_counter

from riskbus.format.names import SegmentName
from riskbus.format.record import from_line
from riskbus.metrics import AuditMetrics
from riskbus.runtime.batch import Batch
from riskbus.runtime.chunks import Chunk, by_day
from riskbus.runtime.places import PROBE_MARGIN, Pause, Places
from riskbus.settings import AuditSettings, Durability
from riskbus.store import posix
from riskbus.store.ring import Ring
from riskbus.store.segment import Segment

_UNSYNCED_LIMIT = 8 << 20  # bytes after which even durability `os` syncs, so that the backlog stays small


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which the volume refused records, and which it got afterwards.

    Attributes:
        cause: the kernel's name and words for the first error.
        seconds: how long it lasted.
        first_seq, last_seq: the records that had to wait, or went to the second directory.
        second_directory: whether they went there.
    """

    cause: str
    seconds: float
    first_seq: int
    last_seq: int
    second_directory: bool


@dataclass(frozen=True, slots=True)
class Listener:
    """Whom a journal tells what. Called on the writer's thread; must not block.

    Attributes:
        durable: these records are durable.
        emergency: the record with this number is not durable and the volume refuses it.
        failed: the volume began to refuse.
        resumed: the volume took everything again.
        segment_begins: a new segment is about to be made; may raise to forbid it.
        segment_begun: a new segment is the active one.
    """

    durable: Callable[[Batch], None]
    emergency: Callable[[int, bytes], None]
    failed: Callable[[OSError], None]
    resumed: Callable[[Outage], None]
    segment_begins: Callable[[], None]
    segment_begun: Callable[[Segment], None]


class Journal:
    """Appends entries to segments and makes them durable. Belongs to the writer's thread.

    Attributes:
        settings: as they are in force.
        segment: the active one, None where the next record begins one.
        day: of the newest record in the active segment, as `ts` writes it.
        failing: whether no directory takes records.
        backlog_bytes: size of the lines that are not yet durable.
    """

    def __init__(self, settings: AuditSettings, ring: Ring, metrics: AuditMetrics, listener: Listener) -> None:
        self.settings = settings
        self._ring = ring  # counts the segments, for the writer that comes after this one
        self._metrics = metrics
        self._listener = listener
        self._places = Places(settings.path.parent, settings.second_dir)
        self.segment: Segment | None = None
        self.day = b""
        self._backlog: list[Chunk] = []
        self._written = 0  # chunks of the backlog that the active segment holds
        self._announced = ring.announced - 1  # number of the last record that went to the emergency stream
        self._cause: OSError | None = None
        self._failed_at = 0.0
        self._failed_seq = -1  # the first record that the outage concerns
        self._pause = Pause()
        self.failing = False
        self.backlog_bytes = 0

    @property
    def on_second(self) -> bool:
        """Whether records go to the second directory."""
        return self._places.on_second

    @property
    def idle(self) -> bool:
        """Whether everything is durable."""
        return not self._backlog

    @property
    def steady_segment(self) -> Segment | None:
        """The active segment, where the first directory takes records and everything is durable."""
        return None if self._backlog or self._cause or self.on_second else self.segment

    def appended(self, size: int, syncs: list[float], last_seq: int) -> None:
        """Take note that someone else wrote records to the active segment, and made them durable."""
        if self.segment is not None:
            self.segment.size += size
        self._metrics.bytes_written += size
        self._metrics.durable_seq = last_seq
        for seconds in syncs:
            self._metrics.observe_sync(seconds)

    def refused(self, batch: Batch, error: OSError) -> None:
        """Take records that someone else failed to write to the active segment. Never raises OSError."""
        self._take_in(batch)
        self._fail(error)
        self.push()

    def append(self, batch: Batch) -> None:
        """Take records, write them, and make them durable as the settings say. Never raises OSError."""
        self._take_in(batch)
        lazy = self.settings.durability is Durability.OS and self.backlog_bytes < _UNSYNCED_LIMIT
        self.push(sync=not lazy)

    def push(self, *, sync: bool = True) -> None:
        """Write what is not yet written and sync it. Never raises OSError."""
        if self.on_second and self._places.go_back():
            self._go_back()
        while self._backlog and not (self.failing and not self._pause.over):
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

    def _take_in(self, batch: Batch) -> None:
        newest = self._backlog[-1].day if self._backlog else self.day
        for chunk in by_day(batch, newest):
            self._backlog.append(chunk)
            self.backlog_bytes += len(chunk.batch.block)
        self._metrics.backlog += len(batch.kinds)

    def begin_on_second(self, error: OSError) -> None:
        """Write to the second directory from the start, as the first has this error."""
        self._cause, self._failed_at, self._failed_seq = error, monotonic(), self._ring.released
        self._metrics.count_outage(error)
        self._listener.failed(error)
        self._places.give_way()

    def announce(self) -> None:
        """Send each record that is not durable to the emergency stream, once."""
        for chunk in self._backlog:
            for seq, line in enumerate(chunk.batch.lines(), chunk.batch.first_seq):
                if seq > self._announced:
                    self._listener.emergency(seq, from_line(line)[0])
                    self._announced = seq

    def inspect(self) -> str:
        """Look at the active segment from outside; return what is wrong with it, or "".

        A segment that was deleted, replaced or shortened is left, and the next record begins a new one.
        """
        finding = self.segment.finding() if self.segment else ""
        if finding:
            self._metrics.suspect += 1
            self._leave_segment()
        return finding

    def release(self) -> None:
        """Close the descriptor without writing: for the end, and for the child after a fork."""
        if self.segment:
            self.segment.abandon()

    def _write(self) -> None:
        while self._written < len(self._backlog):
            chunk = self._backlog[self._written]
            if self.segment and self._due_for_rotation(self.segment, chunk):
                self._sync()
                self._leave_segment()
            if self.segment is None:
                self._begin_segment()
            self._active.write(chunk.batch.block)
            self.day = max(self.day, chunk.day)
            self._metrics.bytes_written += len(chunk.batch.block)
            self._written += 1

    @property
    def _active(self) -> Segment:
        if self.segment is None:
            raise OSError(errno.EBADF, "no segment is open")
        return self.segment

    def _begin_segment(self) -> None:
        directory = self._places.prepare(self.backlog_bytes + PROBE_MARGIN if self.failing else 0)
        self._listener.segment_begins()
        first = self._backlog[0].batch.first_seq
        name = SegmentName(self.settings.path.stem, self._ring.incarnation, self._ring.segments, first)
        self._ring.segments += 1  # even if creating it fails: the name may be taken then
        self.segment = Segment(directory, name)
        self._metrics.segments += 1
        self._listener.segment_begun(self.segment)

    def _due_for_rotation(self, segment: Segment, chunk: Chunk) -> bool:
        settings = self.settings
        return (
            segment.size >= settings.rotation_max_size
            or chunk.day > self.day
            or monotonic() - segment.created >= settings.rotation_max_age
        )

    def _sync(self) -> None:
        if not self._written:
            return
        started = perf_counter()
        self._active.sync()
        self._metrics.observe_sync(perf_counter() - started)
        durable = self._backlog[: self._written]
        del self._backlog[: self._written]
        self._written = 0
        recovered = None if self._backlog else self._cause
        if recovered:  # before those hear of it who waited, as they may ask at once
            self.failing = False
            self._metrics.failing, self._metrics.on_second = 0, int(self.on_second)
        for chunk in durable:
            self.backlog_bytes -= len(chunk.batch.block)
            self._metrics.backlog -= len(chunk.batch.kinds)
            self._metrics.durable_seq = chunk.batch.last_seq
            self._listener.durable(chunk.batch)
        if recovered and not self.on_second:
            self._resume(recovered, second=False)

    def _fail(self, error: OSError) -> None:
        self._metrics.write_failures += 1
        self._leave_segment()
        if self._cause is None:
            self._cause, self._failed_at = error, monotonic()
            self._failed_seq = self._backlog[0].batch.first_seq
            self._metrics.count_outage(error)
            self._listener.failed(error)
        if not self._places.give_way():
            at_once = self.settings.second_dir is None and error.errno not in posix.FULL  # another file may do
            self._pause.begin(first=not self.failing, at_once=at_once)
            self.failing = True
            self._metrics.failing, self._metrics.on_second = 1, 0

    def _go_back(self) -> None:
        try:
            self._sync()
        except OSError:
            self._metrics.write_failures += 1  # what the second directory did not take goes to the first
        self._leave_segment()
        self._metrics.on_second = 0
        if self._cause:
            self._resume(self._cause, second=True)

    def _resume(self, cause: OSError, *, second: bool) -> None:
        self._cause = None
        name = errno.errorcode.get(cause.errno or 0, "EIO")
        seconds = monotonic() - self._failed_at
        last = self._metrics.durable_seq
        self._listener.resumed(Outage(f"{name}: {cause.strerror}", seconds, self._failed_seq, last, second))

    def _leave_segment(self) -> None:
        if self.segment:
            self.segment.abandon()
        self.segment = None
        self._written = 0
        self.day = b""
