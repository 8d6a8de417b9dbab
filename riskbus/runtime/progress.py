"""How far the log is durable, and who waits for it."""

from collections import deque
from collections.abc import Callable


class Progress:
    """The durable end of an incarnation. Only the writer moves it; any thread may read it or wait for it.

    Attributes:
        durable_seq: every record up to this number is durable; -1 while none is.
        ended: nothing will become durable any more.
        hurry: asks the writer to come at once.
    """

    __slots__ = ("_waiting", "durable_seq", "ended", "hurry")

    def __init__(self, hurry: Callable[[], None]) -> None:
        self.durable_seq = -1
        self.ended = False
        self.hurry = hurry
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()

    @property
    def awaited(self) -> bool:
        """Whether someone waits. Any thread."""
        return bool(self._waiting)

    def when_settled(self, seq: int, callback: Callable[[], None], *, hurry: bool = True) -> None:
        """Call back, once or twice, when the record is durable or never will be. Any thread.

        Args:
            seq: the record's number.
            callback: called on the caller's thread or on the writer's.
            hurry: whether the writer is to come for it at once.
        """
        self._waiting.append((seq, callback))
        if self._settled(seq):  # the writer may have looked before the line above
            callback()
        elif hurry:
            self.hurry()

    def advance(self, seq: int) -> None:
        """Declare everything up to this number durable. Writer only."""
        self.durable_seq = seq
        self._call_back()

    def end(self) -> None:
        """Declare that nothing more will become durable."""
        self.ended = True
        self._call_back()

    def _settled(self, seq: int) -> bool:
        return self.ended or seq <= self.durable_seq

    def _call_back(self) -> None:
        for _ in range(len(self._waiting)):
            seq, callback = self._waiting.popleft()
            if self._settled(seq):
                callback()
            else:
                self._waiting.append((seq, callback))
