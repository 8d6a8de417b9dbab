"""The Merkle tree over the records of one incarnation. Source: RFC 6962, section 2.1."""

from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()


class Tree:
    """A tree that grows on the right and remembers only its edge: one hash for each bit of its size.

    Not thread-safe: it belongs to one writer or one verifier.
    """

    __slots__ = ("_edge", "size")

    def __init__(self, size: int = 0, edge: bytes = b"") -> None:
        """Go on with a tree of this size and edge; both as they are for an empty one if not given."""
        self.size = size
        self._edge = [edge[start : start + 32] for start in range(0, len(edge), 32)]

    @property
    def edge(self) -> bytes:
        """The roots of the perfect subtrees that make up the tree, the largest first: 32 bytes each."""
        return b"".join(self._edge)

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
