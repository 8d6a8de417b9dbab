"""When to sign the next checkpoint, and over what."""

from time import monotonic

from riskbus.format.checkpoint import Checkpoint, Signer
from riskbus.format.merkle import Tree
from riskbus.store.ring import Ring

_ACTIVE = 1.0  # seconds between checkpoints while events come
_IDLE = 60.0  # seconds between checkpoints while none come


class Sealer:
    """The Merkle tree over what is durable, and the key that signs it. Belongs to the writer's thread."""

    def __init__(self, signer: Signer, ring: Ring) -> None:
        """Go on where the ring says that the last writer of this incarnation was."""
        self._signer = signer
        self._ring = ring
        self._tree = Tree(ring.released, ring.edge)
        self._last = float("-inf")
        self._fresh = False  # whether something other than a checkpoint became durable since the last seal

    def add(self, size: int, edge: bytes, *, fresh: bool) -> None:
        """Cover all records with numbers below this one; `fresh` says that some of them are no checkpoints."""
        self._tree = Tree(size, edge)
        self._fresh = self._fresh or fresh

    @property
    def due_at(self) -> float:
        """When the next checkpoint is due if events come, in seconds of the monotonic clock."""
        return self._last + _ACTIVE

    def due(self) -> bool:
        """Whether it is time for the next checkpoint."""
        return self._tree.size > self._ring.sealed and monotonic() - self._last >= (_ACTIVE if self._fresh else _IDLE)

    def first(self, leaf: bytes) -> Checkpoint:
        """Sign the first record by its leaf hash. It need not be durable yet, so tell nobody but the log."""
        self._ring.sealed = 1
        return self._signer.sign(1, leaf)

    def seal(self) -> Checkpoint:
        """Sign everything that is durable now."""
        self._last = monotonic()
        self._fresh = False
        self._ring.sealed = self._tree.size
        return self._signer.sign(self._tree.size, self._tree.root())
