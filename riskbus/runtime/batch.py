"""From staged bodies to lines of the file: number, hash, line; many records in one object, as each object costs."""

from array import array
from binascii import b2a_base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate, pairwise

from riskbus.format.merkle import Tree
from riskbus.format.record import from_line
from riskbus.native import hot
from riskbus.runtime.staging import Staged
from riskbus.store.ring import Ring

_take = getattr(hot, "take", None)  # not there where libcrypto is not

BATCH = 4096 if _take else 2048
"""Records; enough for few syncs and few waits for the interpreter's lock, few enough to stay in the processor's cache.

In Python they are objects of their own, which take more memory, and 4,096 were a tenth slower than 2,048.
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records with numbers one after the other, at least one, and the tree over them and all before them.

    Attributes:
        first_seq: number of the first.
        block: their lines as they stand in the file, one after the other.
        ends: where each line ends in the block.
        kinds: as in `Staged`, a byte each.
        before: edge of the tree over all records before the first.
        edge: edge of the tree over all up to the last.
    """

    first_seq: int
    block: bytes
    ends: Sequence[int]
    kinds: bytes
    before: bytes
    edge: bytes

    @property
    def last_seq(self) -> int:
        """Number of the last."""
        return self.first_seq + len(self.kinds) - 1

    def start(self, index: int) -> int:
        """Return where the line of the record with this index begins in the block."""
        return self.ends[index - 1] if index else 0

    def lines(self) -> Iterator[bytes]:
        """Yield the lines."""
        return (self.block[start:end] for start, end in pairwise([0, *self.ends]))

    def split(self, index: int) -> "tuple[Batch, Batch]":
        """Return the records up to, without, the one with this index, and the others; neither may be none."""
        end = self.ends[index - 1]
        head = [from_line(self.block[start:stop])[1] for start, stop in pairwise([0, *self.ends[:index]])]
        middle = _grow(self.first_seq, self.before, head)
        rest = array("Q", (place - end for place in self.ends[index:]))
        return (
            Batch(self.first_seq, self.block[:end], self.ends[:index], self.kinds[:index], self.before, middle),
            Batch(self.first_seq + index, self.block[end:], rest, self.kinds[index:], middle, self.edge),
        )


class Intake:
    """Takes records in the order of their numbers, from the first that is not durable on. Belongs to the writer.

    Attributes:
        next: number of the next record.
        edge: of the tree over the records before it.
        full: whether the last batch was as large as it may be, so that there is probably more.
    """

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self.next, self.edge, self.full = ring.released, ring.edge, False

    def take(self, rest: Callable[[int, int], list[Staged]], most: int = BATCH) -> Batch | None:
        """Return the next records, at most so many, None if there are none.

        Args:
            rest: returns at most so many records from a number on, wherever they are; for what is unusual.
            most: how many records.
        """
        batch = self._take_usual(most)
        if batch is None and (staged := rest(self.next, most)):
            batch = make_batch(staged, self.edge)
        if batch is not None:
            self.next, self.edge = batch.last_seq + 1, batch.edge
        self.full = batch is not None and len(batch.kinds) == most
        return batch

    def _take_usual(self, most: int) -> Batch | None:
        found = _take and _take(self._ring.memory, self._ring.slots, self.next, min(most, self._ring.slots), self.edge)
        if found is None:
            return None
        block, ends, kinds, edge = found
        return Batch(self.next, block, memoryview(ends).cast("Q"), kinds, self.edge, edge)


def make_batch(staged: list[Staged], before: bytes) -> Batch:
    """Return staged records as `with_number`, `leaf_hash` and `to_line` make them, but in one step. At least one."""
    lines, leaves, kinds = [], [], bytearray()
    for seq, body, kind in staged:
        inner = body[1:-1]
        leaf = sha256(b'\x00{"seq":%d,%b}' % (seq, inner)).digest()
        leaves.append(leaf)
        lines.append(b'{"seq":%d,%b,"hash":"%b"}\n' % (seq, inner, b2a_base64(leaf, newline=False)))
        kinds.append(kind)
    first = staged[0][0]
    ends = array("Q", accumulate(map(len, lines)))
    return Batch(first, b"".join(lines), ends, bytes(kinds), before, _grow(first, before, leaves))


def _grow(size: int, edge: bytes, leaves: list[bytes]) -> bytes:
    tree = Tree(size, edge)
    tree.extend(leaves)
    return tree.edge
