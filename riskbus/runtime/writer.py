"""The writer: one loop that takes records from the feed and brings them to disk.

One turn of the loop is: take, hash, write and sync, look after what is due (checkpoint, inspection, mount), declare
what was lost. Only one writer of an incarnation works at a time. It may be a thread or a child process, and when that
ends before its time, or hangs with the volume, the next one goes on: with the first record that is not durable, in a
new segment, on the tree whose edge stands in the ring.
"""

import errno
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic, monotonic_ns, perf_counter_ns
from typing import Any

from riskbus.events import EventPriority
from riskbus.format.checkpoint import Checkpoint, Signer
from riskbus.format.output import anchor_line, emergency_lines
from riskbus.metrics import AuditMetrics
from riskbus.mount import Verdict
from riskbus.mount.report import unresponsive
from riskbus.runtime import control
from riskbus.runtime.ancestry import previous_incarnation
from riskbus.runtime.batch import BATCH, Batch, Intake
from riskbus.runtime.control import Say
from riskbus.runtime.courier import Courier
from riskbus.runtime.feed import Feed, take
from riskbus.runtime.holes import Holes
from riskbus.runtime.inheritance import Inheritance
from riskbus.runtime.journal import Journal, Listener, Outage
from riskbus.runtime.link import Link
from riskbus.runtime.output import Output
from riskbus.runtime.rounds import Done, Rounds
from riskbus.runtime.sealing import Sealer
from riskbus.runtime.staging import CHECKPOINT, CONTROL
from riskbus.runtime.surroundings import Surroundings
from riskbus.runtime.upkeep import Upkeep
from riskbus.settings import AuditSettings
from riskbus.store.ring_header import WAITING
from riskbus.store.segment import Segment

_CHORES = 1.0  # seconds between inspections of the active segment and the link
_REVALIDATION = 30.0  # seconds between validations of the mount


class Abandoned(Exception):  # noqa: N818 -- not an error: the volume took too long, and another writer works
    """Raised in a writer that was given up while it hung."""


class Writer:
    """Brings one incarnation's records to disk. Belongs to one thread, but for `abandon`.

    Attributes:
        surroundings: mount and clock.
        failing: whether the volume refuses records.
    """

    def __init__(  # noqa: PLR0913, PLR0917 -- the writer is where all parts meet
        self,
        settings: AuditSettings,
        signer: Signer,
        feed: Feed,
        metrics: AuditMetrics,
        output: Output,
        say: Say,
        on_checkpoint: Callable[[Checkpoint], None],
        *,
        distrust: bool,
    ) -> None:
        """Prepare; `distrust` says that the first directory hangs and must not be touched."""
        self._settings = settings
        self._feed, self._ring = feed, feed.ring
        self._incarnation = feed.ring.incarnation
        self._metrics = metrics
        self._output = output
        self._say = say
        self._on_checkpoint = on_checkpoint
        self._public_key = signer.verifier_key
        self._sealer = Sealer(signer, self._ring)
        listener = Listener(
            self._durable, self._emergency, self._failed, self._resumed, self._fence, self._segment_begun
        )
        self._journal = Journal(settings, self._ring, metrics, listener)
        self._inheritance = Inheritance(feed, settings, self.record)
        self._holes = Holes(feed)
        self._link = Link(settings.path, say)
        self._upkeep = Upkeep(settings, self._incarnation, metrics, say, self.record)
        self.surroundings = Surroundings(settings, metrics, self.record, say)
        self._volume = Courier("riskbus-volume")  # for errands that hang with it
        self._distrust = distrust
        self._intake = Intake(self._ring)
        self._rounds = Rounds(feed, self._intake, self._journal)
        self._abandoned = self._closed = False
        self._progressed = False  # whether records came since the last chores
        self._farewell = [self._say_close, self._seal]  # what still has to become durable before the end, in order
        self._chores_at = self._revalidate_at = 0.0

    @property
    def failing(self) -> bool:
        """Whether the volume refuses records."""
        return self._journal.failing

    def run(self, between: Callable[[], object] = lambda: None) -> None:
        """Work until the ring's `stop_ns` is set, and call `between` after each turn.

        Raises:
            Abandoned: another writer works now.
        """
        try:
            self._open()
            while not self._finished():
                until = 0 if self._inheritance.waiting else self._chores_at
                done = self._rounds.go(self._settings, until, self._sealer.due_at)
                self._take_note(done)
                self._turn(taken=done is not None and done.usual)
                between()
        finally:
            self._upkeep.stop()
            self._volume.finish(0)

    def finish_alone(self) -> None:
        """Bring to disk what was put down, after the end of the process that publishes; then release everything.

        What comes after a number that a publisher had claimed and did not live to use stays in the ring, for the next
        process. Only the place of the seal of AUDIT_OPEN is filled, as nobody else can.
        """
        self._take_rest()
        if self._intake.next == 1 and any(held.seq > 1 for held in self._ring.held()):
            self._ring.put(1, self._seal_body(self._sealer.first(self._intake.edge)), CHECKPOINT)
            self._take_rest()
        self._journal.push()
        self.release()

    def _take_rest(self) -> None:
        while batch := self._intake.take(self._ring.take):
            self._journal.append(batch)

    def abandon(self) -> None:
        """Have no effect any more, whenever the volume answers. Any thread."""
        self._abandoned = True
        self._rounds.abandon()

    def release(self) -> None:
        """Close descriptors; for the end, and for the child after a fork."""
        self._journal.release()
        self._inheritance.release()
        self._upkeep.forget()

    def record(self, kind: str, payload: dict[str, Any], level: int = CONTROL) -> None:
        """Stage one of the log's own records; after AUDIT_CLOSE none but its checkpoint may follow. Any thread."""
        if not self._closed or level == CHECKPOINT:
            self._feed.stage(control.encode_now(kind, payload), level)

    # -- the beginning

    def _open(self) -> None:
        if self._distrust:
            mount = unresponsive(self._settings.path)
            self._journal.begin_on_second(TimeoutError(errno.ETIMEDOUT, "it does not answer"))
        else:
            with suppress(OSError):  # the validation says what is wrong
                self._settings.path.parent.mkdir(parents=True, exist_ok=True)
            mount = self.surroundings.look()
        if self._intake.next == 0 and self._ring.get(0) is None:
            previous = previous_incarnation(self._settings, self._incarnation, distrust=self._distrust)
            payload = control.open_payload(
                self._settings, self._incarnation, self._public_key, previous, mount, self.surroundings.clock
            )
            self._feed.put(0, control.encode_now("AUDIT_OPEN", payload), CONTROL)
        else:
            self.record("AUDIT_RECOVERED", control.succeeded_payload(self._intake.next))
        if self._intake.next == 1:
            self._seal_opening(self._ring.edge)
        self._find_inheritance()
        self._revalidate_at = monotonic() + _REVALIDATION

    def _find_inheritance(self) -> None:
        if self._journal.on_second:
            return
        with suppress(OSError):  # the volume is not there: the next chores look again
            self._inheritance.find(self._settings.staging_dir)

    # -- one turn

    def _take_note(self, done: Done | None) -> None:
        """Count what became durable in rounds, as `_durable` does, and go on after an error as the journal does."""
        if done is None:
            return
        self._fence()
        count = sum(done.kinds)
        if count:
            last = self._intake.next - 1
            self._count_events(done.kinds)
            self._journal.appended(done.size, done.syncs, last)
            self._sealer.add(last + 1, self._intake.edge, fresh=done.kinds[CHECKPOINT] < count)
            self._inheritance.durable(last)
            self._progressed = True
            if done.moments:
                self._feed.settled(done.moments)
        if done.error and (batch := self._take()):
            self._journal.refused(batch, done.error)

    def _count_events(self, kinds: Sequence[int]) -> None:
        for priority in EventPriority:
            self._metrics.events[priority] += kinds[priority]

    def _turn(self, *, taken: bool = False) -> None:
        """Take what there is, unless the rounds have just done so, and do what is due."""
        self._fence()
        self._ring.alive_ns = monotonic_ns()
        batch = None if taken else self._take_turn()
        awaited = self._ring.awaited == WAITING
        if self._journal.failing or self._ring.stop_ns or awaited:
            self._journal.push()  # durability `os` syncs when someone waits
        if awaited and batch is None:
            self._settled()
        if self._sealer.due():
            self._seal()
        if monotonic() >= self._chores_at:
            self._do_chores()

    def _take_turn(self) -> Batch | None:
        self._rounds.turn_at = monotonic()
        opening = self._intake.next == 0  # AUDIT_OPEN alone, and then its seal
        if not opening and not self._closed:
            self._inheritance.take_over()
        batch = self._take(1 if opening else BATCH)
        if batch:
            self._journal.append(batch)
            if opening:
                self._seal_opening(batch.edge)
        return batch

    def _take(self, most: int = BATCH) -> Batch | None:
        batch = self._intake.take(partial(take, self._feed), most)
        if batch:
            self._rounds.busy_at = monotonic()
            self._progressed = True
            self._count_events([batch.kinds.count(kind) for kind in EventPriority])
        return batch

    def _settled(self) -> None:
        self._feed.settled([(self._ring.released, perf_counter_ns())])

    def _seal(self) -> None:
        checkpoint = self._sealer.seal()
        self.record("AUDIT_CHECKPOINT", control.checkpoint_payload(checkpoint), CHECKPOINT)
        self._announce(checkpoint)

    def _seal_opening(self, leaf: bytes) -> None:
        """Put a seal of AUDIT_OPEN down as the second record: whenever the process is killed, it precedes events."""
        durable = self._sealer.due()
        checkpoint = self._sealer.seal() if durable else self._sealer.first(leaf)
        self._feed.put(1, self._seal_body(checkpoint), CHECKPOINT)
        if durable:
            self._announce(checkpoint)

    @staticmethod
    def _seal_body(checkpoint: Checkpoint) -> bytes:
        return control.encode_now("AUDIT_CHECKPOINT", control.checkpoint_payload(checkpoint))

    def _announce(self, checkpoint: Checkpoint) -> None:
        self._metrics.checkpoints += 1
        self._metrics.checkpoint_size = checkpoint.size
        self._output.write(anchor_line(checkpoint, self._public_key))
        self._on_checkpoint(checkpoint)

    def _do_chores(self) -> None:
        now = monotonic()
        self._chores_at = now + _CHORES
        self._holes.watch(self._intake.next, progressed=self._progressed)
        self._progressed = False
        self._adopt(self._feed.settings())
        self._journal.push()  # durability `os` syncs at least so often
        if not self._journal.failing:
            self._find_inheritance()
            self._inspect()
            self._declare_gaps()
        if not self._ring.stop_ns:
            self._volume.offer(partial(self._upkeep.turn, on_second=self._journal.on_second))
        if now >= self._revalidate_at and not self._ring.stop_ns:
            self._revalidate_at = now + _REVALIDATION
            self._volume.offer(self.surroundings.look_again)

    def _adopt(self, settings: AuditSettings) -> None:
        self._settings = settings
        self._journal.settings = settings
        self._upkeep.adopt(settings)

    def _inspect(self) -> None:
        segment = self._journal.segment
        if segment is None:
            return
        finding = self._journal.inspect()
        if finding:
            self._warn(f"segment {segment.path}: {finding} while it was written; a new one begins; find out who did it")
            self.record("AUDIT_SUSPECT", control.suspect_payload(str(segment.name), finding))
        else:
            self._claim_link(segment)

    def _declare_gaps(self) -> None:
        self._metrics.lost = self._ring.lost
        lost = self._metrics.lost - self._ring.declared
        if lost > 0:
            self._ring.declared += lost
            self.record("AUDIT_GAP", control.gap_payload("the log could not take these events", lost))

    # -- what the journal tells

    def _durable(self, batch: Batch) -> None:
        self._fence()
        self._sealer.add(batch.last_seq + 1, batch.edge, fresh=batch.kinds.count(CHECKPOINT) < len(batch.kinds))
        self._ring.release(batch.last_seq + 1, batch.edge)
        self._inheritance.durable(batch.last_seq)
        if self._ring.awaited:
            self._settled()
        mount = self.surroundings.mount
        if batch.first_seq == 0 and mount and mount.verdict is not Verdict.INVALID:
            self._say(logging.INFO, control.initialized_line(self._settings, self._incarnation, mount))

    def _emergency(self, seq: int, record: bytes) -> None:
        self._metrics.emergency_events += 1
        self._ring.announced = seq + 1
        for line in emergency_lines(self._incarnation, seq, record):
            self._output.write(line)

    def _failed(self, error: OSError) -> None:
        self._fence()
        self._warn(control.outage_warning(self._settings, error))

    def _resumed(self, outage: Outage) -> None:
        self.record("AUDIT_RECOVERED", control.recovered_payload(outage))
        self._upkeep.hurry()
        self._say(logging.INFO, control.resumed_line(self._settings, outage))

    def _segment_begun(self, segment: Segment) -> None:
        self._fence()
        self._claim_link(segment)

    def _fence(self) -> None:
        if self._abandoned:
            raise Abandoned

    def _claim_link(self, segment: Segment) -> None:
        if not self._journal.on_second:  # then the link's own directory is the one that refuses
            self._link.point_to(segment)

    def _warn(self, finding: str) -> None:
        self._say(logging.WARNING, f"AUDIT LOG RISK: {finding}")

    # -- the end

    def _finished(self) -> bool:
        deadline = self._ring.stop_ns
        if not deadline:
            return False
        if monotonic_ns() >= deadline:
            return True
        if not self._journal.idle or self._intake.next < self._feed.claimed:
            return False
        if not self._farewell:
            return True
        self._farewell.pop(0)()
        self._turn()  # at once: whoever closes a log waits
        return self._finished()

    def _say_close(self) -> None:
        self._declare_gaps()
        self.record("AUDIT_CLOSE", {"records": self._feed.claimed})
        self._closed = True
