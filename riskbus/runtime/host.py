"""What a writer runs in: a thread of this process, or a process of its own (riskbus.runtime.process)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Event, Thread
from typing import Protocol

from riskbus.format.checkpoint import Checkpoint, Signer
from riskbus.metrics import AuditMetrics
from riskbus.mount import MountReport
from riskbus.native import hot
from riskbus.runtime.control import Say
from riskbus.runtime.courier import Courier, logger
from riskbus.runtime.feed import Bell, LocalFeed, LockBell
from riskbus.runtime.output import Output
from riskbus.runtime.progress import Progress
from riskbus.runtime.staging import Staging
from riskbus.runtime.writer import Abandoned, Writer
from riskbus.settings import AuditSettings


@dataclass
class Equipment:
    """What every writer of an incarnation is given.

    Attributes:
        settings: of the log, as they are in force; replaced as a whole.
        signer: the incarnation's key.
        staging: where records come from.
        output: standard output.
        courier: does errands that may block.
        metrics: where the writer counts.
        say: logs.
        on_checkpoint: is told of each new one; must not block.
    """

    settings: AuditSettings
    signer: Signer
    staging: Staging
    output: Output
    courier: Courier
    metrics: AuditMetrics
    say: Say
    on_checkpoint: Callable[[Checkpoint], None]


class Host(Protocol):
    """One writer after another: each `start` begins the next, which goes on where the last one ended.

    Attributes:
        progress: how far records are durable.
        ended: set when the writer ended, for whatever reason.
    """

    progress: Progress
    ended: Event

    @property
    def failing(self) -> bool:
        """Whether the volume refuses records."""

    @property
    def mount(self) -> MountReport | None:
        """What the volume is, None until it answered."""

    @property
    def latest(self) -> Checkpoint | None:
        """The newest checkpoint, None before the first."""

    def wake(self) -> None:
        """End the writer's wait. Any thread; does not block."""

    def start(self, *, distrust: bool = False) -> None:
        """Begin a writer; `distrust` says that the first directory hangs and must not be touched."""

    def abandon(self) -> None:
        """Give the writer up, though it hangs: it has no effect any more, and counts as ended."""

    def count(self, name: str) -> None:
        """Count something in the name of the writer: a counter of `AuditMetrics`."""

    def release(self) -> None:
        """Close descriptors; in the child after a fork, and after the end."""


class ThreadHost:
    """Runs writers in threads of this process."""

    def __init__(self, equipment: Equipment) -> None:
        self._equipment = equipment
        self._bell: Bell = LockBell() if hot is None else hot.Bell()
        self.wake = self._bell.ring
        self.progress = Progress(equipment.staging.ring, self.wake)
        self.ended = Event()
        self._latest: Checkpoint | None = None
        self._writer = self._make(distrust=False)

    @property
    def failing(self) -> bool:
        """Whether the volume refuses records."""
        return self._writer.failing

    @property
    def mount(self) -> MountReport | None:
        """What the volume is, None until it answered."""
        return self._writer.surroundings.mount

    @property
    def latest(self) -> Checkpoint | None:
        """The newest checkpoint, None before the first."""
        return self._latest

    def start(self, *, distrust: bool = False) -> None:
        """Begin a writer."""
        if self.ended.is_set():
            self._writer = self._make(distrust=distrust)
            self.ended.clear()
        Thread(target=self._run, args=[self._writer], name="riskbus-writer", daemon=True).start()

    def abandon(self) -> None:
        """Give the writer up."""
        self._writer.abandon()
        self.ended.set()

    def count(self, name: str) -> None:
        """Count something in the name of the writer."""
        metrics = self._equipment.metrics
        setattr(metrics, name, getattr(metrics, name) + 1)

    def release(self) -> None:
        """Close descriptors."""
        self._writer.release()

    def _make(self, *, distrust: bool) -> Writer:
        have = self._equipment
        feed = LocalFeed(have.staging, self._bell, self.progress, lambda: have.settings)
        return Writer(
            have.settings,
            have.signer,
            feed,
            have.metrics,
            have.output,
            have.say,
            self._note_checkpoint,
            distrust=distrust,
        )

    def _note_checkpoint(self, checkpoint: Checkpoint) -> None:
        self._latest = checkpoint
        self._equipment.on_checkpoint(checkpoint)

    def _run(self, writer: Writer) -> None:
        try:
            writer.run()
        except Abandoned:
            pass
        except Exception as error:  # noqa: BLE001 -- a mistake of ours: the overseer begins another writer
            message = "AUDIT LOG RISK: the audit writer failed; another one goes on"
            self._equipment.courier.offer(partial(logger.error, message, exc_info=error))
        finally:
            writer.release()
            if writer is self._writer:
                self.ended.set()
