"""The Merkle tree over the records of one incarnation. Source: RFC 6962, section 2.1."""

from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()


class Tree:
    """A tree that grows on the right and remembers only its edge: one hash for each bit of its size.

    Not thread-safe: it belongs to one writer or one verifier.
    """

    __slots__ = ("_edge", "size")

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Add the hash of the next leaf."""
        size = self.size
        while size & 1:
            leaf = sha256(b"\x01" + self._edge.pop() + leaf).digest()
            size >>= 1
        self._edge.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the tree as it is now."""
        if not self._edge:
            return EMPTY_ROOT
        *rest, root = self._edge
        for left in reversed(rest):
            root = sha256(b"\x01" + left + root).digest()
        return root
