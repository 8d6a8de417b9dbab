"""How far the log is durable, and who waits for it."""

from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter_ns
from weakref import WeakMethod

from riskbus.store.ring import Ring
from riskbus.store.ring_header import LISTENING, WAITING

Moment = tuple[int, int]
"""Records with numbers below the first were durable at the second, as `time.perf_counter_ns` counts."""


class Progress:
    """The durable end of an incarnation, as its ring says. Any thread may read it or wait for it.

    Attributes:
        ended: nothing will become durable any more.
        hurry: asks the writer to come at once.
    """

    __slots__ = ("_listeners", "_ring", "_waiting", "ended", "hurry")

    def __init__(self, ring: Ring, hurry: Callable[[], None]) -> None:
        self.ended = False
        self.hurry = hurry
        self._ring = ring
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()
        self._listeners: list[WeakMethod[Callable[[Sequence[Moment]], None]]] = []

    @property
    def durable_seq(self) -> int:
        """Every record up to this number is durable; -1 while none is."""
        return self._ring.released - 1

    def when_settled(self, seq: int, callback: Callable[[], None]) -> None:
        """Call back, once or twice, when the record is durable or never will be, and have the writer come at once.

        Args:
            seq: the record's number.
            callback: called on the caller's thread or on the writer's.
        """
        self._waiting.append((seq, callback))
        self._ring.awaited = WAITING
        if self._settled(seq):  # the writer may have looked before the lines above
            callback()
        else:
            self.hurry()

    def listen(self, method: Callable[[Sequence[Moment]], None]) -> None:
        """Call a method with what became durable when, now and then, on the writer's thread, while its object lives."""
        self._listeners.append(WeakMethod(method))
        self._ring.awaited = self._ring.awaited or LISTENING

    def end(self) -> None:
        """Declare that nothing more will become durable."""
        self.ended = True
        self.call_back([(self._ring.released, perf_counter_ns())])

    def _settled(self, seq: int) -> bool:
        return self.ended or seq <= self.durable_seq

    def call_back(self, moments: Sequence[Moment]) -> None:
        """Tell those who wait for what is durable now, and those who listen of these moments. One thread at a time."""
        self._ring.awaited = LISTENING if self._listeners else 0
        for _ in range(len(self._waiting)):
            seq, callback = self._waiting.popleft()
            if self._settled(seq):
                callback()
            else:
                self._waiting.append((seq, callback))
        if self._waiting:
            self._ring.awaited = WAITING
        for listener in tuple(self._listeners):
            method = listener()
            if method is None:
                self._listeners.remove(listener)
            else:
                method(moments)
