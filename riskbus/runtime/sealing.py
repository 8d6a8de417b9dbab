"""When to sign the next checkpoint, and over what."""

from time import monotonic

from riskbus.format.checkpoint import Checkpoint, Signer
from riskbus.format.merkle import Tree
from riskbus.runtime.journal import Entry
from riskbus.runtime.staging import CHECKPOINT

_ACTIVE = 1.0  # seconds between checkpoints while events come
_IDLE = 60.0  # seconds between checkpoints while none come


class Sealer:
    """The Merkle tree over what is durable, and the key that signs it. Belongs to the writer's thread.

    Attributes:
        latest: the newest checkpoint, None before the first.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._tree = Tree()
        self._last = float("-inf")
        self._fresh = False  # whether something other than a checkpoint became durable since the last seal
        self.latest: Checkpoint | None = None

    def add(self, entries: list[Entry]) -> None:
        """Cover entries that became durable, in order."""
        for entry in entries:
            self._tree.append(entry.leaf)
            self._fresh |= entry.kind != CHECKPOINT

    def due(self) -> bool:
        """Whether it is time for the next checkpoint."""
        sealed = self.latest.size if self.latest else 0
        return self._tree.size > sealed and monotonic() - self._last >= (_ACTIVE if self._fresh else _IDLE)

    def seal(self) -> Checkpoint:
        """Sign everything that is durable now."""
        self._last = monotonic()
        self._fresh = False
        self.latest = self._signer.sign(self._tree.size, self._tree.root())
        return self.latest
