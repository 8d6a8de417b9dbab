"""One life of an audit log in one process: from AUDIT_OPEN to AUDIT_CLOSE."""

import os
from _thread import allocate_lock
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import PurePosixPath
from time import monotonic_ns, time_ns
from typing import Any

from riskbus.events import EventPriority, RiskEvent
from riskbus.format.checkpoint import Checkpoint, Signer
from riskbus.format.output import emergency_lines
from riskbus.format.record import encode_event, with_number
from riskbus.metrics import AuditMetrics
from riskbus.mount.judgement import TMPFS
from riskbus.mount.mountinfo import find_mount, read_mounts
from riskbus.runtime.appending import Append, make_append
from riskbus.runtime.control import encode_now
from riskbus.runtime.courier import Courier, logger
from riskbus.runtime.host import Equipment, Host, ThreadHost
from riskbus.runtime.output import Output
from riskbus.runtime.overseer import Overseer
from riskbus.runtime.process import ProcessHost
from riskbus.runtime.receipt import Receipt
from riskbus.runtime.staging import CONTROL, Staging
from riskbus.settings import AuditSettings, Durability, WriterKind
from riskbus.stamps import uuid7
from riskbus.status import State
from riskbus.store.ring import FOOTPRINT, Ring
from riskbus.store.ring_files import create_ring

_FAREWELL = 1.0  # seconds that the last lines for standard output and the logger get


class Incarnation:
    """Staging, writer and threads that belong together.

    Attributes:
        name: 32 hexadecimal digits of a UUID version 7.
        staging, progress: the publishers' side.
        host: what the writer runs in.
        metrics: what the writer counts.
        public_key: the verifier key.
    """

    def __init__(
        self,
        settings: AuditSettings,
        on_checkpoint: Callable[[Checkpoint], None] | None,
        use: Callable[[Append, Append], None],
    ) -> None:
        """Make the parts; `use` is told which functions record events from now on: waking or not."""
        self.name = uuid7(time_ns()).replace("-", "")
        self._use = use
        self._on_checkpoint = on_checkpoint
        self.ring = _make_ring(settings, self.name)
        self.staging = Staging(self.ring, on_full=self._refuse_from_now_on, overflow=settings.staging_overflow)
        self.staging.attention = self._urgent = settings.durability is Durability.SYNC
        self.staging.claim()  # AUDIT_OPEN gets the first number, whenever the volume answers,
        self.staging.claim()  # and its seal the second
        signer = Signer(f"{settings.stream_name()}/{self.name}")
        self.public_key = signer.verifier_key
        self.metrics = AuditMetrics(str(settings.path))
        self._output = Output()
        self._courier = Courier("riskbus-courier")
        self._equipment = equipment = Equipment(
            settings,
            signer,
            self.staging,
            self._output,
            self._courier,
            self.metrics,
            self._say,
            self._announce_checkpoint,
        )
        self.host = _make_host(equipment)
        self.progress = self.host.progress
        self._refusals = count(1)
        self._started = allocate_lock()
        self._overseer = Overseer(self.host, equipment, self._announce)
        self._append = make_append(self.staging, self.progress, self._second_look)
        self._stage = make_append(self.staging, self.progress, self._look_at_end)

    @property
    def state(self) -> State:
        """What the writer does."""
        if self.progress.ended:
            return State.CLOSED
        if self.host.failing or self._overseer.hanging:
            return State.FAILING
        return State.OPENING if self.progress.durable_seq < 0 else State.WRITING

    def start(self) -> None:
        """Start the writer, and record events."""
        if self._started.acquire(blocking=False):
            self._use(self._append, self._stage)
            self.host.start()
            self._overseer.start()

    def start_with_first_record(self) -> None:
        """Start the writer when the first record comes, so that a child that never publishes leaves no file."""

        def start_and_append(event: RiskEvent) -> Receipt:
            self.start()
            return self._append(event)

        self._use(start_and_append, start_and_append)

    def adopt(self, settings: AuditSettings) -> None:
        """Go on with other settings; the writer looks at them once a second."""
        self._equipment.settings = settings
        self._urgent = settings.durability is Durability.SYNC
        self.staging.overflow = settings.staging_overflow
        self.staging.attention = self._urgent or self.progress.ended

    def record(self, kind: str, payload: dict[str, Any]) -> None:
        """Stage one of the log's own records. Any thread."""
        self.staging.stage(encode_now(kind, payload), CONTROL)

    def refuse(self, event: RiskEvent) -> Receipt:
        """Send an event that the log cannot take to the emergency stream. Any thread; never blocks."""
        self.ring.lost = next(self._refusals)
        self._emergency(-1, encode_event(event))
        if not self.progress.ended and not self.staging.full:
            self._use(self._append, self._stage)
        return Receipt(-1, self.progress)

    def close(self, timeout: float) -> tuple[bytes, ...]:
        """Make everything durable, end the threads, and return the records for which that did not succeed."""
        self._use(self.refuse, self.refuse)
        self.staging.attention = True
        self._overseer.stop()
        if self._started.locked():
            self.ring.stop_ns = monotonic_ns() + round(timeout * 1e9)
            self.host.wake()
            self.host.ended.wait(timeout + _FAREWELL)
        self.progress.end()
        unfinished = tuple(with_number(seq, body) for seq, body, _ in self.staging.leftovers())
        self._announce()
        if self.host.ended.is_set() or not self._started.locked():
            self.host.release()
            if not unfinished:
                self.ring.remove()
            self.ring.give_up()
        self._output.finish(_FAREWELL)
        self._courier.finish(_FAREWELL)
        return unfinished

    def forget(self) -> None:
        """Let go of the parent's descriptors, and never touch its ring; for the child after a fork."""
        self._use(self._forsake, self._forsake)
        self.host.release()
        self._output.release()
        self._output = Output()  # the thread of the other one is the parent's
        self.ring.give_up()

    def _forsake(self, event: RiskEvent) -> Receipt:
        self._emergency(-1, encode_event(event))
        return Receipt(-1, self.progress)

    def _second_look(self, seq: int, event: RiskEvent) -> Receipt | None:
        if event.priority is EventPriority.CRITICAL:
            self.host.wake()
        return self._look_at_end(seq, event)

    def _look_at_end(self, seq: int, event: RiskEvent) -> Receipt | None:
        if self._urgent:
            self.host.wake()
        if self.progress.ended and seq > self.progress.durable_seq:
            return self.refuse(event)  # the log was closed meanwhile and may not have seen the record
        return None

    def _refuse_from_now_on(self) -> None:
        self._use(self.refuse, self.refuse)

    def _announce(self) -> None:
        for seq, body, _ in self.staging.leftovers(self.ring.announced):  # as while it hangs, this comes again
            self.ring.announced = seq + 1
            self._emergency(seq, body)

    def _emergency(self, seq: int, body: bytes) -> None:
        self.host.count("emergency_events")
        for line in emergency_lines(self.name, seq, with_number(seq, body)):
            self._output.write(line)

    def _announce_checkpoint(self, checkpoint: Checkpoint) -> None:
        if self._on_checkpoint:
            self._courier.offer(partial(self._on_checkpoint, checkpoint))

    def _say(self, level: int, text: str) -> None:
        self._courier.offer(partial(logger.log, level, text))


def _make_host(equipment: Equipment) -> Host:
    if equipment.settings.writer is WriterKind.PROCESS and equipment.staging.ring.path is not None:
        with suppress(OSError):  # no descriptor is left for its bell
            return ProcessHost(equipment)
    return ThreadHost(equipment)


def _make_ring(settings: AuditSettings, incarnation: str) -> Ring:
    directory, shared = settings.staging_dir, None
    with suppress(OSError):  # no descriptor is left to look with; private memory needs none
        mount = find_mount(read_mounts(), PurePosixPath(os.path.realpath(directory)))
        shared = directory if mount is not None and mount.filesystem in TMPFS else None
    slots = 1 << (settings.staging_size // FOOTPRINT).bit_length() - 1
    ring = create_ring(shared, incarnation, str(settings.path), slots)
    if ring.path is None:
        message = (
            "AUDIT LOG RISK: %s is no memory file system with %d bytes free, or no file can be opened; the writer is "
            "a thread, and records on their way end with the process"
        )
        logger.warning(message, directory, settings.staging_size)
    return ring
