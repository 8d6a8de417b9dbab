"""Checking the seals of one incarnation: checkpoints in the log, and anchors from outside, against the records."""

from collections.abc import Callable

from riskbus.errors import FormatError
from riskbus.format import checkpoint
from riskbus.format.anchors import Anchor
from riskbus.format.findings import Dimension, Severity
from riskbus.format.merkle import Tree

Report = Callable[[str, Dimension, Severity, str, int], None]
"""Takes kind, dimension, severity, message and the number of the record, -1 for none."""


class Seals:
    """The Merkle tree over an incarnation's records, recomputed, and what was signed about it.

    The tree follows behind the records: a checkpoint stands a few records after the last one that it covers.

    Attributes:
        key: the verifier key of AUDIT_OPEN, "" before it was seen.
        origin: the origin that checkpoints must have.
        sealed: how many records the newest valid checkpoint covers.
        anchored: how many records the newest matching anchor covers.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._tree = Tree()
        self._pending: list[bytes] = []
        self._whole = True
        self._wanted: dict[int, list[Anchor]] = {}
        self.key = self.origin = ""
        self.sealed = self.anchored = 0

    def expect(self, anchor: Anchor) -> None:
        """Compare with an anchor as soon as there are as many records as it covers."""
        self._wanted.setdefault(anchor.checkpoint.size, []).append(anchor)

    def open(self, key: str, origin: str) -> None:
        """Take key and origin from AUDIT_OPEN."""
        self.key, self.origin = key, origin
        other = {anchor.source for group in self._wanted.values() for anchor in group if anchor.key not in {"", key}}
        for source in sorted(other):
            message = f"the key of AUDIT_OPEN is not the one that {source} kept"
            self._report("key", Dimension.ANCHORING, Severity.TAMPERING, message, 0)

    def add(self, leaf: bytes, count: int) -> None:
        """Add the next record's leaf hash, after which there are `count` records."""
        self._pending.append(leaf)
        for anchor in self._wanted.pop(count, ()):
            self._check_anchor(anchor)

    def lose(self) -> None:
        """Note that records are missing, so that no later root can be recomputed."""
        self._whole = False

    def check(self, note: str, seq: int) -> bool:
        """Check a checkpoint that stands at number `seq`; whether it is valid."""
        if not self.key:
            message = "the checkpoint cannot be checked: AUDIT_OPEN and its key are missing or damaged"
            self._report("keyless", Dimension.AUTHENTICITY, Severity.UNDECIDED, message, seq)
            return False
        try:
            seal = checkpoint.verify(note, self.key)
        except FormatError as error:
            message = f"the checkpoint is not signed with the key of AUDIT_OPEN: {error}"
            self._report("signature", Dimension.AUTHENTICITY, Severity.TAMPERING, message, seq)
            return False
        if seal.origin != self.origin or not self.sealed < seal.size <= seq:
            message = f"a checkpoint of {seal.origin} over {seal.size} records does not belong here"
            self._report("seal", Dimension.AUTHENTICITY, Severity.TAMPERING, message, seq)
            return False
        if self._whole and (not self._advance(seal.size) or self._tree.root() != seal.root):
            message = f"records {self.sealed} to {seal.size - 1} are not those that were sealed"
            self._report("root", Dimension.AUTHENTICITY, Severity.TAMPERING, message, seq)
            self._whole = False
        self.sealed = seal.size
        return True

    def finish(self, count: int) -> None:
        """Report the anchors that cover more records than there are."""
        for size in sorted(self._wanted):
            for anchor in self._wanted[size]:
                message = f"{anchor.source} proves that there were {size} records; {count} are here"
                self._report("truncated", Dimension.ANCHORING, Severity.TAMPERING, message, count)

    def _advance(self, size: int) -> bool:
        count = size - self._tree.size
        if not self._whole or not 0 <= count <= len(self._pending):
            return False
        for leaf in self._pending[:count]:
            self._tree.append(leaf)
        del self._pending[:count]
        return True

    def _check_anchor(self, anchor: Anchor) -> None:
        size = anchor.checkpoint.size
        try:
            checkpoint.verify(anchor.checkpoint.note, anchor.key or self.key)
        except FormatError as error:
            message = f"{anchor.source} holds a checkpoint that this incarnation did not sign: {error}"
            self._report("anchor", Dimension.ANCHORING, Severity.TAMPERING, message, size - 1)
            return
        if not self._advance(size):
            message = f"{anchor.source} cannot be compared: of its {size} records some are missing or damaged"
            self._report("anchor", Dimension.ANCHORING, Severity.UNDECIDED, message, size - 1)
        elif self._tree.root() != anchor.checkpoint.root:
            message = f"the first {size} records are not those that {anchor.source} proves"
            self._report("anchor", Dimension.ANCHORING, Severity.TAMPERING, message, size - 1)
        else:
            self.anchored = max(self.anchored, size)
