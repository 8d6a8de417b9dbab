"""Checking the seals of one incarnation: checkpoints in the log, and anchors from outside, against the records."""

from collections import deque
from dataclasses import dataclass, field

from riskbus.errors import FormatError
from riskbus.format import checkpoint
from riskbus.format.anchors import Anchor
from riskbus.format.blocks import Block
from riskbus.format.checkpoint import Checkpoint
from riskbus.format.findings import Findings, Place, Severity
from riskbus.format.merkle import TILE_HEIGHT, TILE_WIDTH, Tree
from riskbus.format.pruning import Pruned

MAX_LAG = 1 << 20
"""A checkpoint stands at most so many records behind the last one that it covers."""
_HASH = 32  # bytes of SHA-256


@dataclass(slots=True)
class _Run:
    """Leaves that are not in the tree yet, and the roots of the tiles among them."""

    first: int
    leaves: bytes | bytearray
    tiles: dict[int, bytes] = field(default_factory=dict)


class Roots:
    """The Merkle tree over an incarnation's records, which follows behind them, and the roots that are wanted.

    A checkpoint stands a few records after the last one that it covers, so leaves wait until it is clear at which sizes
    the root matters; at most `MAX_LAG` of them.
    """

    def __init__(self) -> None:
        self._tree = Tree()
        self._runs: deque[_Run] = deque()
        self._count = 0
        self._wanted: list[int] = []
        self._at_wanted: dict[int, bytes] = {}

    def resume(self, size: int, edge: bytes) -> None:
        """Go on with a tree whose first leaves are not here. Call after `want`, before the first leaf."""
        self._tree = Tree(size, edge)
        self._count = size
        self._wanted = [wanted for wanted in self._wanted if wanted >= size]

    def want(self, sizes: set[int]) -> None:
        """Remember the roots at these sizes when the tree comes by. Call before the first leaf."""
        self._wanted = sorted(sizes, reverse=True)

    def add(self, leaf: bytes) -> None:
        """Add the next leaf."""
        if not self._runs or not isinstance(self._runs[-1].leaves, bytearray):
            self._runs.append(_Run(self._count, bytearray()))
        self._runs[-1].leaves += leaf
        self._count += 1
        self._keep_up()

    def add_block(self, block: Block) -> None:
        """Add the leaves of the next lines."""
        self._runs.append(_Run(self._count, block.leaves, block.tiles))
        self._count += block.records
        self._keep_up()

    def root(self, size: int) -> bytes:
        """Return the root over the first `size` records; sizes must not fall from call to call."""
        while self._wanted and self._wanted[-1] <= size:
            wanted = self._wanted.pop()
            self._advance(wanted)
            self._at_wanted[wanted] = self._tree.root()
        self._advance(size)
        return self._tree.root()

    def wanted_root(self, size: int) -> bytes:
        """Return the root at a size that was asked for before; call at the end."""
        while self._wanted and self._wanted[-1] <= size:
            self.root(self._wanted[-1])
        return self._at_wanted[size]

    def _keep_up(self) -> None:
        late = self._count - MAX_LAG - 1
        if self._tree.size < late:
            self.root(late)

    def _advance(self, size: int) -> None:
        tree = self._tree
        while tree.size < size:
            run, start = self._runs[0], tree.size
            end = min(size, run.first + len(run.leaves) // _HASH)
            tile = -start % TILE_WIDTH + start
            if start in run.tiles and start + TILE_WIDTH <= end:
                roots = [run.tiles[first] for first in range(start, end - TILE_WIDTH + 1, TILE_WIDTH)]
                tree.extend(roots, TILE_HEIGHT)
            else:
                until = tile if start < tile < end and tile in run.tiles else end
                offsets = range((start - run.first) * _HASH, (until - run.first) * _HASH, _HASH)
                tree.extend([bytes(run.leaves[offset : offset + _HASH]) for offset in offsets])
            if tree.size == run.first + len(run.leaves) // _HASH:
                self._runs.popleft()


class Seals:
    """What was signed about an incarnation, against its records.

    Attributes:
        key: the verifier key of AUDIT_OPEN, "" if it gave none that can be used.
        origin: the origin that checkpoints must have, "" before AUDIT_OPEN was seen.
        newest: the size of the newest checkpoint that fits where it stands, good or not.
        sealed: how many records the newest good checkpoint covers.
        anchored: how many records the largest matching anchor covers.
    """

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._roots = Roots()
        self._hole = -1  # the first record that is missing
        self._anchors: list[Anchor] = []
        self.newest = 0
        self._gone = 0  # records at the beginning that were pruned
        self.key = self.origin = ""
        self.sealed = self.anchored = 0

    def expect(self, anchor: Anchor) -> None:
        """Compare with an anchor at the end. Call before the first record."""
        self._anchors.append(anchor)
        self._roots.want({anchor.checkpoint.size for anchor in self._anchors})

    def open(self, key: str, origin: str) -> None:
        """Take key and origin from AUDIT_OPEN."""
        self.origin = origin
        try:
            self.key = key if checkpoint.parse_verifier_key(key)[0] == origin else ""
        except FormatError:
            self.key = ""

    def resume(self, pruned: Pruned) -> None:
        """Go on behind records that are gone. Call after `expect`, before the first record."""
        self.open(pruned.public_key, f"{pruned.stream}/{pruned.incarnation}")
        self._roots.resume(pruned.records, pruned.edge)
        self._gone = pruned.records
        self.newest = self.sealed = pruned.sealed

    def add(self, leaf: bytes) -> None:
        """Add the leaf hash of the next record."""
        if self._hole < 0:
            self._roots.add(leaf)

    def add_block(self, block: Block) -> None:
        """Add the leaf hashes of the next records."""
        if self._hole < 0:
            self._roots.add_block(block)

    def lose(self, seq: int) -> None:
        """Note that records are missing from this number on, so that no later root can be recomputed."""
        self._hole = seq if self._hole < 0 else self._hole

    def check(self, note: str, seq: int, place: Place) -> bool:
        """Check a checkpoint that stands at number `seq`; whether it is good."""
        try:
            seal = checkpoint.parse(note)
        except FormatError as error:
            self._findings.add("seal", Severity.TAMPERING, f"the checkpoint cannot be read: {error}", seq, place)
            return False
        fits = self.newest < seal.size <= seq <= seal.size + MAX_LAG
        if not fits or (self.origin and seal.origin != self.origin):
            message = f"a checkpoint of {seal.origin} over {seal.size} records does not belong here"
            self._findings.add("seal", Severity.TAMPERING, message, seq, place)
            return False
        self.newest = seal.size
        if not self._prove(seal, seq, place):
            return False
        self.sealed = seal.size
        return True

    def _prove(self, seal: Checkpoint, seq: int, place: Place) -> bool:
        add_once = self._findings.add_once
        if not self.key:
            message = "the checkpoint cannot be checked: AUDIT_OPEN and its key are missing or damaged"
            add_once("keyless", Severity.UNDECIDED, message, seq, place)
        elif (reason := _refused(seal, self.key)) is not None:
            message = f"the checkpoint is not signed with the key of AUDIT_OPEN: {reason}"
            self._findings.add("signature", Severity.TAMPERING, message, seq, place)
        elif 0 <= self._hole < seal.size:
            message = f"record {self._hole} is missing, so this checkpoint and those after it cannot be compared"
            add_once("unproved", Severity.UNDECIDED, message, seq, place)
        elif seal.size < self._gone:
            pass  # what it covers is not here any more; the next one covers that too
        elif self._roots.root(seal.size) != seal.root:
            message = f"records {self.sealed} to {seal.size - 1} are not those that were sealed"
            add_once("root", Severity.TAMPERING, message, seq, place)
        else:
            return True
        return False

    def finish(self, count: int) -> None:
        """Compare with the anchors, now that there are `count` records."""
        anchors = sorted(self._anchors, key=lambda anchor: anchor.checkpoint.size)
        for anchor in anchors:
            self._compare(anchor, count)
        if anchors and anchors[-1].checkpoint.size > count:
            proved = f"{anchors[-1].source} proves that there were {anchors[-1].checkpoint.size} records"
            self._findings.add("truncated", Severity.TAMPERING, f"{proved}; {count} are here", count)

    def _compare(self, anchor: Anchor, count: int) -> None:
        add_once = self._findings.add_once
        size, source = anchor.checkpoint.size, anchor.source
        if self.origin and anchor.key not in {"", self.key}:
            add_once("key", Severity.TAMPERING, f"the key of AUDIT_OPEN is not the one that {source} kept", 0)
        if self.origin and anchor.checkpoint.origin != self.origin:
            message = f"{source} holds a checkpoint of {anchor.checkpoint.origin}; AUDIT_OPEN says {self.origin}"
            add_once("anchor", Severity.TAMPERING, message, size - 1)
        elif not self.key:
            message = f"{source} cannot be compared: AUDIT_OPEN and its key are missing or damaged"
            add_once("anchor", Severity.UNDECIDED, message, size - 1)
        elif (reason := _refused(anchor.checkpoint, self.key)) is not None:
            message = f"{source} holds a checkpoint that this incarnation did not sign: {reason}"
            add_once("anchor", Severity.TAMPERING, message, size - 1)
        elif size > count or size < self._gone:
            return
        elif 0 <= self._hole < size:
            message = f"{source} cannot be compared: of its {size} records some are missing or damaged"
            add_once("anchor", Severity.UNDECIDED, message, size - 1)
        elif self._roots.wanted_root(size) != anchor.checkpoint.root:
            message = f"the first {size} records are not those of which {source} keeps the root"
            add_once("anchor", Severity.TAMPERING, message, size - 1)
        else:
            self.anchored = size


def _refused(seal: Checkpoint, key: str) -> str | None:
    """Return why a key did not sign a checkpoint, None if it did."""
    try:
        checkpoint.verify(seal.note, key)
    except FormatError as error:
        return str(error)
    return None
