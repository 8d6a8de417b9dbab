"""How far the log is durable, and who waits for it."""

from collections import deque
from collections.abc import Callable

from riskbus.store.ring import Ring


class Progress:
    """The durable end of an incarnation, as its ring says. Any thread may read it or wait for it.

    Attributes:
        ended: nothing will become durable any more.
        hurry: asks the writer to come at once.
    """

    __slots__ = ("_ring", "_waiting", "ended", "hurry")

    def __init__(self, ring: Ring, hurry: Callable[[], None]) -> None:
        self.ended = False
        self.hurry = hurry
        self._ring = ring
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()

    @property
    def durable_seq(self) -> int:
        """Every record up to this number is durable; -1 while none is."""
        return self._ring.released - 1

    def when_settled(self, seq: int, callback: Callable[[], None], *, hurry: bool = True) -> None:
        """Call back, once or twice, when the record is durable or never will be. Any thread.

        Args:
            seq: the record's number.
            callback: called on the caller's thread or on the writer's.
            hurry: whether the writer is to come for it at once.
        """
        self._waiting.append((seq, callback))
        self._ring.awaited = 1
        if self._settled(seq):  # the writer may have looked before the lines above
            callback()
        elif hurry:
            self.hurry()

    def end(self) -> None:
        """Declare that nothing more will become durable."""
        self.ended = True
        self.call_back()

    def _settled(self, seq: int) -> bool:
        return self.ended or seq <= self.durable_seq

    def call_back(self) -> None:
        """Tell those who wait for what is durable now. One thread at a time."""
        self._ring.awaited = 0
        for _ in range(len(self._waiting)):
            seq, callback = self._waiting.popleft()
            if self._settled(seq):
                callback()
            else:
                self._waiting.append((seq, callback))
        if self._waiting:
            self._ring.awaited = 1
