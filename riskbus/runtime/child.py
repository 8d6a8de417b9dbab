"""The program of a writer that runs in a process of its own."""

import os
import select
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from riskbus.format.checkpoint import Checkpoint, Signer
from riskbus.metrics import AuditMetrics
from riskbus.runtime.output import Output
from riskbus.runtime.staging import Staged
from riskbus.runtime.writer import Writer
from riskbus.settings import AuditSettings
from riskbus.store.ring import Ring
from riskbus.store.ring_files import attach_ring
from riskbus.store.ring_header import WAITING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from riskbus.runtime.feed import Bell
    from riskbus.runtime.progress import Moment

_FAREWELL = 1.0  # seconds that lines which were queued last get when the process ends
_NEWS = 0.2  # seconds between two messages, where nothing urgent changed: each makes publishers wait a little


class TraderEndedError(Exception):
    """The process that this writer works for has ended."""


class RemoteFeed:
    """The feed of a writer whose publishers are in another process."""

    def __init__(  # noqa: PLR0913, PLR0917 -- the descriptors that the trader's process has handed over
        self, ring: Ring, connection: "Connection[Any, Any]", bell: int, call: int, trader: int, metrics: AuditMetrics
    ) -> None:
        self.ring = ring
        self._metrics = metrics
        self._told: tuple[object, ...] = ()
        self._told_at = float("-inf")
        self._moments: list[Moment] = []
        self._connection = connection
        self.bell: Bell | None = None
        self.descriptors: tuple[int, ...] = (bell, trader)
        self._call = call
        self._lock = Lock()  # the writer and the thread that validates the mount both ask

    @property
    def claimed(self) -> int:
        """How many numbers were claimed."""
        return int(self._ask("claimed"))

    def claim(self) -> int:
        """Return the next number."""
        return int(self._ask("claim"))

    def put(self, seq: int, body: bytes, kind: int) -> int:
        """Put down the body for a claimed number; return the number that it has."""
        return int(self._ask("put", seq, body, kind))

    def stage(self, body: bytes, kind: int) -> None:
        """Claim the next number and put down the body for it."""
        self._ask("stage", body, kind)

    def declare(self, seq: int) -> None:
        """Note that the writer itself writes the record with this number."""
        self._ask("declare", seq)

    def waiting_aside(self, seq: int, most: int) -> list[Staged]:
        """Return the records from this number on that wait outside shared memory."""
        return list(self._ask("waiting_aside", seq, most))

    def settings(self) -> AuditSettings:
        """Return the settings as they are in force now."""
        settings: AuditSettings = self._ask("settings")
        return settings

    def wait(self, seconds: float) -> None:
        """Wait until someone wakes the writer, or for so long.

        Raises:
            TraderEndedError: nobody will publish any more.
        """
        bell, trader = self.descriptors
        # select, as poll knows only whole milliseconds; this process has few descriptors
        for descriptor in select.select([bell, trader], [], [], seconds)[0]:
            if descriptor == trader:
                raise TraderEndedError
            os.eventfd_read(bell)

    def settled(self, moments: "Sequence[Moment]") -> None:
        """Tell those who wait what is durable; who only listens hears of it with the next news."""
        self._moments += moments
        self.news(now=self.ring.awaited == WAITING)

    def news(self, *, now: bool = False) -> None:
        """Tell the trader's process how the writer does, where something urgent changed, and now and then otherwise."""
        metrics = self._metrics
        urgent = (metrics.failing, metrics.write_failures, metrics.segments, metrics.checkpoints, metrics.mount)
        if now or urgent != self._told or monotonic() >= self._told_at + _NEWS:
            self._told, self._told_at = urgent, monotonic()
            moments, self._moments = self._moments, []
            self.tell("news", metrics, moments)

    def tell(self, kind: str, *details: object) -> None:
        """Send a message that needs no answer."""
        with self._lock, suppress(OSError):  # nobody is there any more; `wait` notices
            self._send(kind, *details)

    def _ask(self, kind: str, *details: object) -> Any:  # noqa: ANN401 -- whatever the other side answers
        with self._lock:
            try:
                self._send(kind, *details)
                return self._connection.recv()
            except (OSError, EOFError):
                raise TraderEndedError from None

    def _send(self, *message: object) -> None:
        self._connection.send(message)
        os.eventfd_write(self._call, 1)


def main() -> None:
    """Be the writer of the ring, eventfds, socket and process whose numbers are the arguments."""
    ring_number, bell, call, socket, trader_pid = map(int, sys.argv[1:])
    for number in (signal.SIGINT, signal.SIGTERM):  # for the whole group; the trader's process says when it is over
        signal.signal(number, signal.SIG_IGN)
    connection: Connection[Any, Any] = Connection(socket)
    try:
        trader = os.pidfd_open(trader_pid)
        settings, name, seed, path, distrust = connection.recv()
        ring = attach_ring(ring_number, path)
    except (OSError, EOFError):  # the trader's process has ended, or another one has taken its ring over and removed it
        return
    metrics, output = AuditMetrics(str(settings.path)), Output()
    feed = RemoteFeed(ring, connection, bell, call, trader, metrics)

    def say(level: int, text: str) -> None:
        feed.tell("say", level, text)

    def on_checkpoint(checkpoint: Checkpoint) -> None:
        feed.tell("checkpoint", checkpoint)

    writer = Writer(settings, Signer(name, seed), feed, metrics, output, say, on_checkpoint, distrust=distrust)
    try:
        writer.run(between=feed.news)
        feed.news(now=True)
    except TraderEndedError:
        with suppress(TraderEndedError):
            writer.finish_alone()
    output.finish(_FAREWELL)
