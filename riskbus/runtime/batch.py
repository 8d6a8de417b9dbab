"""From staged bodies to lines of the file: number, hash, line; many records in one object, as each object costs."""

from binascii import b2a_base64
from dataclasses import dataclass
from hashlib import sha256

from riskbus.runtime.staging import Staged


@dataclass(frozen=True, slots=True)
class Batch:
    """Records with numbers one after the other.

    Attributes:
        first_seq: number of the first.
        lines: as they stand in the file.
        leaves: their leaf hashes.
        kinds: as in `Staged`, a byte each.
    """

    first_seq: int
    lines: list[bytes]
    leaves: list[bytes]
    kinds: bytes

    @property
    def last_seq(self) -> int:
        """Number of the last."""
        return self.first_seq + len(self.lines) - 1

    def part(self, start: int, end: int) -> "Batch":
        """Return the records from one index up to, without, another."""
        return Batch(
            self.first_seq + start, self.lines[start:end], self.leaves[start:end], bytes(self.kinds[start:end])
        )


def make_batch(staged: list[Staged]) -> Batch:
    """Return staged records as `with_number`, `leaf_hash` and `to_line` make them, but in one step. At least one."""
    lines, leaves, kinds = [], [], bytearray()
    for seq, body, kind in staged:
        inner = body[1:-1]
        leaf = sha256(b'\x00{"seq":%d,%b}' % (seq, inner)).digest()
        leaves.append(leaf)
        lines.append(b'{"seq":%d,%b,"hash":"%b"}\n' % (seq, inner, b2a_base64(leaf, newline=False)))
        kinds.append(kind)
    return Batch(staged[0][0], lines, leaves, bytes(kinds))
