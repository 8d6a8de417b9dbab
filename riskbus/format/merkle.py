"""The Merkle tree over the records of one incarnation. Source: RFC 6962, section 2.1.

A tile is the perfect tree over 256 neighbouring leaves, the first of which has a number that 256 divides. Tiles can be
worked out apart from each other, and put into the tree instead of their leaves.
"""

from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT


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

    def extend(self, nodes: list[bytes], height: int = 0) -> None:
        """Add leaves, or the roots of perfect trees of this height, of whose width `size` must be a multiple."""
        size = self.size >> height
        self.size += len(nodes) << height
        edge = []
        while nodes:
            if size & 1:
                nodes = [self._edge.pop(), *nodes]
            if len(nodes) & 1:
                edge.append(nodes[-1])
            nodes = _above(nodes)
            size >>= 1
        self._edge += reversed(edge)

    def root(self) -> bytes:
        """Return the root of the tree as it is now."""
        if not self._edge:
            return EMPTY_ROOT
        *rest, root = self._edge
        for left in reversed(rest):
            root = sha256(b"\x01" + left + root).digest()
        return root


def tile_roots(first: int, leaves: list[bytes]) -> dict[int, bytes]:
    """Return the roots of the tiles that lie wholly in these leaves, by the number of their first leaf.

    Args:
        first: number of the first leaf.
        leaves: hashes of leaves with numbers one after the other.
    """
    start = -first % TILE_WIDTH
    count = (len(leaves) - start) // TILE_WIDTH * TILE_WIDTH
    if count <= 0:
        return {}
    nodes = leaves[start : start + count]
    for _ in range(TILE_HEIGHT):
        nodes = _above(nodes)
    return dict(zip(range(first + start, first + start + count, TILE_WIDTH), nodes, strict=True))


def _above(nodes: list[bytes]) -> list[bytes]:
    """Return the parents of neighbouring nodes; the last of an odd number has none."""
    rest = iter(nodes)
    return [sha256(b"\x01" + left + right).digest() for left, right in zip(rest, rest, strict=False)]
