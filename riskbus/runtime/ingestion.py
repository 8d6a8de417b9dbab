"""Putting emergency copies back into a log's directory, durably, once, and under seal.

Records that go to the end of their incarnation become a segment of it. Events without such a place become an
incarnation of their own, like any other: AUDIT_OPEN, the events as they were under new numbers, AUDIT_INGESTED,
AUDIT_CLOSE, and the checkpoint over all of it. AUDIT_INGESTED says where everything came from and went to. All files
are complete and durable before the first gets its name, and a crash in between is made good by doing it again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from time import time_ns
from typing import Any

from riskbus.clock import read_clock_status
from riskbus.errors import RiskBusError
from riskbus.format.checkpoint import Checkpoint, Signer
from riskbus.format.emergency import Emergency, Unreadable
from riskbus.format.merkle import Tree
from riskbus.format.names import SegmentName
from riskbus.format.placement import Inventory, Plan, make_plan
from riskbus.format.record import leaf_hash, renumber, to_line, with_number
from riskbus.mount import validate_mount
from riskbus.runtime import control
from riskbus.settings import AuditSettings
from riskbus.stamps import uuid7
from riskbus.store import posix
from riskbus.store.inventory import Progress, take_stock
from riskbus.store.reading import stored_size
from riskbus.store.stream import find_previous, find_segments

_LOCK = ".riskbus-ingest.lock"
_HIDDEN = ".ingest"
_RUNS = 500  # of a record; its bound is 64 KiB


class BusyError(RiskBusError):
    """Another process puts copies into the same directory."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be put in place.

    Attributes:
        copies: the records.
        sources: where they come from, for AUDIT_INGESTED.
        unreadable: what was found beside them; it counts only if the log does not hold it.
        unknown: whether incarnations that nothing ties to this log belong to it.
    """

    copies: list[Emergency]
    sources: list[str]
    unreadable: list[Unreadable]
    unknown: bool = False


@dataclass(slots=True)
class Ingested:
    """What became of the copies.

    Attributes:
        plan: of each.
        unreadable: what could not be read and is not in the log.
        segments: what was written.
        checkpoint: over the incarnation that names it all, None if nothing was written.
        public_key: the verifier key of that incarnation.
    """

    plan: Plan
    unreadable: list[Unreadable]
    segments: list[Path] = field(default_factory=list)
    checkpoint: Checkpoint | None = None
    public_key: str = ""


def log_size(settings: AuditSettings) -> int:
    """Return how many bytes there are to read, which is what `progress` is told of.

    Raises:
        OSError: the log cannot be read.
    """
    return sum(stored_size(path) for path in _segments(settings).values())


def preview(settings: AuditSettings, request: Request, progress: Progress) -> Ingested:
    """Say what `ingest` would do, and write nothing.

    Raises:
        OSError: the log cannot be read.
    """
    return _survey(settings, request, progress)[0]


def ingest(settings: AuditSettings, request: Request, progress: Progress) -> Ingested:
    """Put what is missing into the log of `settings.path`; doing it again changes nothing.

    Raises:
        BusyError: another process is at it.
        OSError: the volume refused; what was written before stands, and doing it again completes it.
    """
    directory = settings.path.parent
    try:
        lock = posix.lock(directory / _LOCK)
    except BlockingIOError:
        raise BusyError(f"another riskbus ingest is at work in {directory}; run this one again after it") from None
    try:
        for leftover in directory.glob(f".*{_HIDDEN}"):  # of one that was killed
            leftover.unlink()
        done, inventory = _survey(settings, request, progress)
        if done.plan.writes:
            _Writing(settings, request.sources, inventory, done).write()
        return done
    finally:
        posix.close(lock)


def _survey(settings: AuditSettings, request: Request, progress: Progress) -> tuple[Ingested, Inventory]:
    def has_ring(incarnation: str) -> bool:  # the next process that opens the log writes what it holds
        return (settings.staging_dir / f"riskbus-{incarnation}.ring").exists()

    numbers = [(item.incarnation, item.seq) for item in request.unreadable]
    inventory = take_stock(_segments(settings), request.copies, numbers, has_ring, progress)
    unreadable = [item for item in request.unreadable if (item.incarnation, item.seq) not in inventory.held]
    return Ingested(make_plan(request.copies, inventory, unknown=request.unknown), unreadable), inventory


def _segments(settings: AuditSettings) -> dict[SegmentName, Path]:
    return find_segments(_directories(settings), settings.path.stem)


def _directories(settings: AuditSettings) -> list[Path]:
    return [settings.path.parent, *([settings.second_dir] if settings.second_dir else [])]


class _Writing:
    """One run that has something to write."""

    def __init__(self, settings: AuditSettings, sources: list[str], inventory: Inventory, done: Ingested) -> None:
        streams = [standing.stream for _, standing in sorted(inventory.standings.items()) if standing.stream]
        stream = streams[-1] if streams else settings.stream_name()
        self._settings = settings.model_copy(update={"stream": stream})
        self._plan = done.plan
        self._done = done
        self._inventory = inventory
        self._sources = sources
        self._incarnation = uuid7(time_ns()).replace("-", "")
        self._signer = Signer(f"{stream}/{self._incarnation}")
        self._tree = Tree()
        self._hidden: list[tuple[Path, Path]] = []

    def write(self) -> None:
        """Write every file under a hidden name, then give each its own."""
        try:
            appended = [self._append(incarnation) for incarnation in self._plan.appended]
            self._done.checkpoint, self._done.public_key = self._adopt(appended), self._signer.verifier_key
            for hidden, path in reversed(self._hidden):  # the incarnation that says what comes goes first
                posix.reveal(hidden, path)
                self._done.segments.append(path)
        finally:
            for hidden, _ in self._hidden:
                hidden.unlink(missing_ok=True)

    def _append(self, incarnation: str) -> dict[str, Any]:
        """Write the end of an incarnation; return what AUDIT_INGESTED says about it."""
        run = self._plan.appended[incarnation]
        content = b"".join(to_line(copy.record, leaf_hash(copy.record)) for copy in run)
        number = self._inventory.standings[incarnation].segments
        name = SegmentName(self._settings.path.stem, incarnation, number, run[0].seq)
        descriptor = self._begin(name)
        try:
            posix.write_all(descriptor, content)
            posix.sync(descriptor)
        finally:
            posix.close(descriptor)
        return {"segment": str(name), "records": len(run), "sha256": sha256(content).hexdigest()}

    def _adopt(self, appended: list[dict[str, Any]]) -> Checkpoint:
        """Write the incarnation of this run: a checkpoint is signed when what it covers is durable."""
        descriptor = self._begin(SegmentName(self._settings.path.stem, self._incarnation, 0, 0))
        try:
            posix.write_all(descriptor, b"".join([self._line(record) for record in self._records(appended)]))
            posix.sync(descriptor)
            checkpoint = self._signer.sign(self._tree.size, self._tree.root())
            posix.write_all(descriptor, self._line(self._control("AUDIT_CHECKPOINT", {"note": checkpoint.note})))
            posix.sync(descriptor)
        finally:
            posix.close(descriptor)
        return checkpoint

    def _records(self, appended: list[dict[str, Any]]) -> Iterator[bytes]:
        yield self._control("AUDIT_OPEN", self._opening())
        runs: list[list[Any]] = []
        for copy in self._plan.adopted:
            last = runs[-1] if runs else None
            seq = self._tree.size
            if last and last[0] == copy.incarnation and copy.seq == (-1 if last[1] < 0 else last[1] + last[3]):
                last[3] += 1
            else:
                runs.append([copy.incarnation, copy.seq, seq, 1])
            yield renumber(seq, copy.record)
        for start in range(0, max(len(runs), len(appended)), _RUNS):
            some, segments = runs[start : start + _RUNS], appended[start : start + _RUNS]
            payload = {"sources": self._sources, "events": sum(run[3] for run in some), "runs": some}
            yield self._control("AUDIT_INGESTED", {**payload, "segments": segments})
        yield self._control("AUDIT_CLOSE", {"records": self._tree.size})

    def _opening(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "writer": "ingest",
            **control.open_payload(
                settings,
                self._incarnation,
                self._signer.verifier_key,
                find_previous(_directories(settings), settings.path.stem, self._incarnation),
                validate_mount(settings.path),
                read_clock_status(),
            ),
        }

    def _control(self, kind: str, payload: dict[str, Any]) -> bytes:
        return with_number(self._tree.size, control.encode_now(kind, payload))

    def _line(self, record: bytes) -> bytes:
        leaf = leaf_hash(record)
        self._tree.append(leaf)
        return to_line(record, leaf)

    def _begin(self, name: SegmentName) -> int:
        path = self._settings.path.with_name(str(name))
        hidden = path.with_name(f".{path.name}{_HIDDEN}")
        self._hidden.append((hidden, path))
        return posix.create_hidden(hidden)
