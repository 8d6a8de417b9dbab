"""The writer: one loop that takes records from staging and brings them to disk.

One turn of the loop is: take, hash, write and sync, look after what is due (checkpoint, inspection, mount), declare
what was lost. Only this thread appends.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import monotonic, time_ns
from typing import Any

from riskbus.clock import ClockStatus, read_clock_status
from riskbus.errors import FormatError
from riskbus.events import EventPriority, uuid7
from riskbus.format.checkpoint import Checkpoint, Signer
from riskbus.format.output import anchor_line, emergency_lines
from riskbus.format.record import encode_control, from_line, leaf_hash, to_line
from riskbus.metrics import AuditMetrics
from riskbus.mount import MountReport, Verdict, validate_mount
from riskbus.runtime import control
from riskbus.runtime.courier import Courier, logger
from riskbus.runtime.inheritance import Inheritance
from riskbus.runtime.journal import Entry, Journal, Listener, Outage
from riskbus.runtime.output import Output
from riskbus.runtime.progress import Progress
from riskbus.runtime.sealing import Sealer
from riskbus.runtime.staging import CHECKPOINT, CONTROL, Staged, Staging
from riskbus.runtime.upkeep import Upkeep
from riskbus.settings import AuditSettings, Durability
from riskbus.store.segment import Segment
from riskbus.store.stream import Previous, claim_link, find_previous

_TICK = 0.002  # seconds between two batches while records come: a few milliseconds until durable, few syncs
_REST = 0.005  # seconds between two looks while none come; urgent records wake the writer at once
_CHORES = 1.0  # seconds between inspections of the active segment and the link
_REVALIDATION = 30.0  # seconds between validations of the mount
_HOLE_PATIENCE = 10.0  # seconds that a claimed number may stay empty; far above any scheduling delay
_MEMORY_LIMIT = 64 << 20  # bytes of lines kept for a volume that refuses them


class Writer:
    """Brings one incarnation's records to disk.

    Attributes:
        mount: what the volume is, None until it answered.
        latest: the newest checkpoint, None before the first.
        declared: events that AUDIT_GAP records have declared lost so far.
    """

    def __init__(  # noqa: PLR0913, PLR0917 -- the writer is where all parts meet
        self,
        settings: AuditSettings,
        incarnation: str,
        staging: Staging,
        progress: Progress,
        metrics: AuditMetrics,
        output: Output,
        courier: Courier,
        on_checkpoint: Callable[[Checkpoint], None] | None,
    ) -> None:
        self._settings = settings
        self._incarnation = incarnation
        self._staging = staging
        self._progress = progress
        self._metrics = metrics
        self._output = output
        self._courier = courier
        self._on_checkpoint = on_checkpoint
        self._signer = Signer(f"{settings.stream_name()}/{incarnation}")
        self._sealer = Sealer(self._signer)
        listener = Listener(self._durable, self._emergency, self._failed, self._resumed, self._segment_begun)
        self._journal = Journal(settings, incarnation, metrics, listener)
        self._inheritance = Inheritance(staging, settings.path, self.record)
        self._upkeep = Upkeep(settings, incarnation, metrics, logger.log)
        self._opening = staging.claim()  # AUDIT_OPEN gets the first number, whenever the volume answers
        self._clock: ClockStatus | None = None
        self._deadline: float | None = None
        self._farewell = [self._say_close, self._seal]  # what still has to become durable before the end, in order
        self._chores_at = self._revalidate_at = 0.0
        self._busy_at = self._hole_since = monotonic()
        self._link_refused = False
        self.mount: MountReport | None = None
        self.declared = 0

    @property
    def public_key(self) -> str:
        """The verifier key of this incarnation."""
        return self._signer.verifier_key

    @property
    def latest(self) -> Checkpoint | None:
        """The newest checkpoint, None before the first."""
        return self._sealer.latest

    @property
    def failing(self) -> bool:
        """Whether the volume refuses records."""
        return self._journal.failing

    def run(self) -> None:
        """Work until `stop`; the body of the writer's thread."""
        try:
            self._open()
            while not self._finished():
                self._staging.wait(self._pause())
                self._turn()
        except Exception as error:  # noqa: BLE001 -- a mistake of ours must end in a known state, not in silence
            message = "AUDIT LOG RISK: the audit writer failed; restart the process"
            self._courier.offer(partial(logger.error, message, exc_info=error))
        finally:
            self._upkeep.stop()
            self._staging.refusing = True
            self._metrics.durable_seq = self._progress.durable_seq
            self._progress.end()

    def stop(self, timeout: float) -> None:
        """Ask the writer to finish what was accepted within so many seconds. Any thread."""
        self._staging.refusing = True
        self._deadline = monotonic() + timeout
        self._staging.wake()

    def give_up(self) -> tuple[bytes, ...]:
        """Send what is not durable to the emergency stream, and return it. After the end of `run`, or if it hangs."""
        self._journal.announce()
        leftovers = self._staging.leftovers()
        for seq, record, _ in leftovers:
            self._emergency(seq, record)
        return (*(from_line(entry.line)[0] for entry in list(self._journal.backlog)), *(left[1] for left in leftovers))

    def release(self) -> None:
        """Close descriptors; for the end, and for the child after a fork."""
        self._journal.release()
        self._upkeep.forget()

    def record(self, kind: str, payload: dict[str, Any], level: int = CONTROL) -> None:
        """Stage one of the log's own records. Any thread."""
        seq = self._staging.claim()
        now = time_ns()
        self._staging.put(seq, encode_control(seq, kind, payload, uuid7(now), now), level)

    # -- the beginning

    def _open(self) -> None:
        with suppress(OSError):  # the validation says what is wrong
            self._settings.path.parent.mkdir(parents=True, exist_ok=True)
        self.mount = self._metrics.mount = validate_mount(self._settings.path)
        self._clock = read_clock_status()
        if self.mount.verdict is not Verdict.VALID:
            self._warn(self.mount.message)
        payload = control.open_payload(
            self._settings, self._incarnation, self.public_key, self._previous(), self.mount, self._clock
        )
        now = time_ns()
        record = encode_control(self._opening, "AUDIT_OPEN", payload, uuid7(now), now)
        self._staging.put(self._opening, record, CONTROL)
        self._find_inheritance()
        self._revalidate_at = monotonic() + _REVALIDATION

    def _find_inheritance(self) -> None:
        with suppress(OSError):  # the volume is not there: the next chores look again
            self._inheritance.find(self._settings.staging_dir)

    def _previous(self) -> Previous | None:
        with suppress(OSError, FormatError):
            return find_previous(self._settings.path.parent, self._settings.path.stem, self._incarnation)
        return None

    # -- one turn

    def _pause(self) -> float:
        if self._settings.durability is Durability.SYNC:
            return _REST
        return _TICK if monotonic() - self._busy_at < 1 else _REST

    def _turn(self) -> None:
        self._inheritance.take_over()
        batch = self._staging.take()
        if batch:
            self._busy_at = monotonic()
            self._journal.append([_entry(staged) for staged in batch])
            self._count(batch)
        if self._journal.failing or self._deadline is not None or self._progress.awaited:
            self._journal.push()  # durability `os` syncs when someone waits
        self._watch_holes(progressed=bool(batch))
        if self._deadline is None:
            self._staging.refusing = self._journal.backlog_bytes > _MEMORY_LIMIT
        if self._sealer.due():
            self._seal()
        if monotonic() >= self._chores_at:
            self._do_chores()

    def _count(self, batch: list[Staged]) -> None:
        events = self._metrics.events
        for _, _, kind in batch:
            if kind < len(EventPriority):
                events[kind] += 1

    def _watch_holes(self, *, progressed: bool) -> None:
        now = monotonic()
        hole = self._staging.hole
        if progressed or hole is None:
            self._hole_since = now
        elif now - self._hole_since > _HOLE_PATIENCE:
            payload = control.gap_payload("a publisher vanished between claiming this number and using it", 1)
            time = time_ns()
            self._staging.declare(hole, encode_control(hole, "AUDIT_GAP", payload, uuid7(time), time), CONTROL)

    def _seal(self) -> None:
        checkpoint = self._sealer.seal()
        self._metrics.checkpoints += 1
        self._metrics.checkpoint_size = checkpoint.size
        self.record("AUDIT_CHECKPOINT", control.checkpoint_payload(checkpoint), CHECKPOINT)
        self._output.write(anchor_line(checkpoint, self.public_key))
        if self._on_checkpoint:
            self._courier.offer(partial(self._on_checkpoint, checkpoint))

    def _do_chores(self) -> None:
        now = monotonic()
        self._chores_at = now + _CHORES
        self._journal.push()  # durability `os` syncs at least so often
        if not self._journal.failing:
            self._find_inheritance()
            self._inspect()
            self._declare_gaps()
        if self._deadline is None:
            self._courier.offer(partial(self._upkeep.turn, on_second=self._journal.on_second))
        if now >= self._revalidate_at and self._deadline is None:
            self._revalidate_at = now + _REVALIDATION
            self._courier.offer(self._revalidate)

    def _inspect(self) -> None:
        segment = self._journal.segment
        if segment is None:
            return
        finding = self._journal.inspect()
        if finding:
            self._warn(
                f"segment {segment.path} was {finding} while it was written; a new one begins; find out who did it"
            )
            self.record("AUDIT_SUSPECT", control.suspect_payload(str(segment.name), finding))
        else:
            self._claim_link(segment)

    def _declare_gaps(self) -> None:
        lost = self._metrics.lost - self.declared
        if lost > 0:
            self.declared += lost
            self.record("AUDIT_GAP", control.gap_payload("the log could not take these events", lost))

    # -- the mount and the clock, on the courier's thread

    def _revalidate(self) -> None:
        before, self.mount = self.mount, validate_mount(self._settings.path)
        self._metrics.mount = self.mount
        if before is None or (before.verdict, before.reason) != (self.mount.verdict, self.mount.reason):
            self.record("AUDIT_MOUNT", control.mount_payload(self.mount))
            if self.mount.verdict is not Verdict.VALID:
                logger.warning("AUDIT LOG RISK: %s", self.mount.message)
        clock = read_clock_status()
        if self._clock is None or clock.synchronized != self._clock.synchronized:
            self.record("AUDIT_CLOCK", control.clock_payload(clock))
        self._clock = clock

    # -- what the journal tells

    def _durable(self, entries: list[Entry]) -> None:
        first = self._progress.durable_seq < 0
        self._sealer.add(entries)
        self._progress.advance(entries[-1].seq)
        self._staging.release(entries[-1].seq + 1)
        self._inheritance.durable(entries[-1].seq)
        if first and self.mount and self.mount.verdict is not Verdict.INVALID:
            self._courier.offer(
                partial(
                    logger.info,
                    "Audit log file initialized: %s on %s, incarnation %s",
                    self._settings.path,
                    self.mount.filesystem,
                    self._incarnation,
                )
            )

    def _emergency(self, seq: int, record: bytes) -> None:
        self._metrics.emergency_events += 1
        for line in emergency_lines(self._incarnation, seq, record):
            self._output.write(line)

    def _failed(self, error: OSError) -> None:
        self._warn(control.outage_warning(self._settings, error))

    def _resumed(self, outage: Outage) -> None:
        self.record("AUDIT_RECOVERED", control.recovered_payload(outage))
        self._upkeep.hurry()
        message = "the volume of %s takes records again; none of %d is missing"
        count = outage.last_seq - outage.first_seq + 1
        self._courier.offer(partial(logger.info, message, self._settings.path, count))

    def _segment_begun(self, segment: Segment) -> None:
        self._claim_link(segment)

    def _claim_link(self, segment: Segment) -> None:
        if self._journal.on_second:
            return  # the link's own directory is the one that refuses
        try:
            claim_link(self._settings.path, segment.name)
        except FileExistsError:
            if not self._link_refused:
                self._link_refused = True
                self._warn(
                    f"{self._settings.path} is not a link of ours and is left alone; records go to {segment.path}"
                )
        except OSError:
            pass  # the link is a convenience; the next chores try again

    def _warn(self, finding: str) -> None:
        self._courier.offer(partial(logger.warning, "AUDIT LOG RISK: %s", finding))

    # -- the end

    def _finished(self) -> bool:
        if self._deadline is None:
            return False
        if monotonic() >= self._deadline:
            return True
        if self._journal.backlog or self._staging.next_seq < self._staging.claimed:
            return False
        if not self._farewell:
            return True
        self._farewell.pop(0)()
        self._staging.wake()
        return False

    def _say_close(self) -> None:
        self._declare_gaps()
        self.record("AUDIT_CLOSE", {"records": self._staging.claimed})


def _entry(staged: Staged) -> Entry:
    seq, record, kind = staged
    leaf = leaf_hash(record)
    return Entry(seq, to_line(record, leaf), leaf, kind)
