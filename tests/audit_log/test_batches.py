"""Batches: what the writer makes of staged records, in Python or compiled, is what the format says, byte for byte."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskbus.format.merkle import Tree
from riskbus.format.record import leaf_hash, to_line, with_number
from riskbus.native import hot
from riskbus.runtime import batch as batches
from riskbus.runtime.batch import Batch, Intake, make_batch
from riskbus.store.ring import Ring
from riskbus.store.ring_files import create_ring
from riskbus.store.ring_words import ROOM, Held

SLOTS = 256
LARGEST = (1 << 40) - 1 - 3 * SLOTS  # a word has room for so large a number, and for those of the next rounds

compiled = pytest.mark.skipif(batches._take is None, reason="not compiled, or no libcrypto")  # noqa: SLF001 -- it is what decides

numbers = st.one_of(st.integers(0, 20), st.integers(0, 12).map(lambda power: 10**power - 1), st.integers(0, LARGEST))
lengths = st.one_of(st.sampled_from([0, 1, 2, 3, 503, 504, 505, ROOM - 1, ROOM]), st.integers(0, ROOM))
kinds = st.integers(0, 5)
bodies = st.builds(lambda length, filler: bytes([filler]) * length, lengths, st.integers(0, 255))


def tree_of(size: int) -> Tree:
    """Return a tree of this size; nobody asks what is in it."""
    return Tree(size, bytes(range(32)) * size.bit_count())


def ring_from(first: int, records: list[tuple[bytes, int]], directory: Path | None = None) -> Ring:
    """Return a ring whose writer has come to the first of these bodies and kinds."""
    ring = create_ring(directory, "a" * 32, "/log", SLOTS)
    ring.release(first, tree_of(first).edge)
    for seq, (body, kind) in enumerate(records, first):
        ring.accept(seq, body, kind)
    return ring


def taken(ring: Ring) -> Iterator[Batch]:
    """Yield what a writer takes from the ring."""
    intake = Intake(ring)
    while batch := intake.take(ring.take):
        yield batch


def usual(ring: Ring) -> Batch | None:
    """Return what the compiled form takes from the ring."""
    return Intake(ring)._take_usual(SLOTS)  # noqa: SLF001 -- what `take` tries first


def check(batch: Batch, records: list[tuple[bytes, int]], tree: Tree) -> None:
    """Compare a batch with what the format's own functions make of each record."""
    assert batch.before == tree.edge
    lines = []
    for seq, (body, _) in enumerate(records, batch.first_seq):
        record = with_number(seq, b"{" + body[1:-1] + b"}")
        lines.append(to_line(record, leaf_hash(record)))
        tree.append(leaf_hash(record))
    assert list(batch.lines()) == lines
    assert batch.block == b"".join(lines)
    assert batch.kinds == bytes(kind for _, kind in records)
    assert batch.edge == tree.edge
    assert batch.last_seq == tree.size - 1


@given(numbers, st.lists(st.tuples(bodies, kinds), min_size=1, max_size=20))
def test_lines_and_tree_are_what_the_format_says(first: int, records: list[tuple[bytes, int]]) -> None:
    """Of every length that fits into a slot, for every number of digits, wherever in the ring the records lie."""
    tree = tree_of(first)
    done = 0
    for batch in taken(ring_from(first, records)):
        count = len(batch.kinds)
        check(batch, records[done : done + count], tree)
        done += count
    assert done == len(records)


@given(numbers, st.lists(st.tuples(bodies, kinds), min_size=1, max_size=20))
def test_the_form_in_python_says_the_same(first: int, records: list[tuple[bytes, int]]) -> None:
    """It is what does the work where nothing is compiled."""
    staged = [Held(seq, *record) for seq, record in enumerate(records, first)]
    check(make_batch(list(staged), tree_of(first).edge), records, tree_of(first))


@compiled
@pytest.mark.parametrize("first", [0, 1, 200, 255, 256, 999_990])
def test_a_whole_ring_is_taken_without_the_interpreters_lock(first: int) -> None:
    """Across the ring's end, where the slots begin again."""
    records = [(b"{%b}" % (b"x" * (seq * 7 % (ROOM - 1))), seq % 4) for seq in range(SLOTS)]
    batch = usual(ring_from(first, records))
    assert batch is not None
    check(batch, records, tree_of(first))


@compiled
@given(numbers, st.integers(0, 70), st.sampled_from(["gap", "long", "older", "newer", "short"]))
def test_the_compiled_form_ends_before_what_is_unusual(first: int, count: int, what: str) -> None:
    """A record that is not there yet, one in a file, a slot with another round's record, a body that is no object."""
    ring = ring_from(first, [(b'{"a":1}', 1)] * (count + 2))
    seq = first + count
    words = ring.slot_words
    word = words[seq % SLOTS]
    words[seq % SLOTS] = {
        "gap": 0,
        "long": word | 8 << 20,
        "older": max(word - (SLOTS << 24), 0),
        "newer": word + (SLOTS << 24),
        "short": word >> 20 << 20 | 1,
    }[what]
    batch = usual(ring)
    assert (len(batch.kinds) if batch else 0) == count
    if batch:
        check(batch, [(b'{"a":1}', 1)] * count, tree_of(first))


@given(st.lists(st.sampled_from([2, 40, ROOM, ROOM + 1, ROOM + 300]), min_size=1, max_size=12), kinds)
def test_long_records_keep_their_place_among_others(sizes: list[int], kind: int) -> None:
    """They come from files, by the way in Python."""
    records = [(b"{" + b"x" * (size - 2) + b"}", kind) for size in sizes]
    with TemporaryDirectory(dir="/dev/shm") as directory:
        tree, done = tree_of(7), 0
        ring = ring_from(7, records, Path(directory))
        for batch in taken(ring):
            check(batch, records[done : done + len(batch.kinds)], tree)
            done += len(batch.kinds)
        ring.give_up()
    assert done == len(records)


@given(numbers, st.integers(2, 40), st.data())
def test_the_parts_of_a_batch_are_what_they_would_have_been_alone(first: int, count: int, data: st.DataObject) -> None:
    """Records of two days go to two segments, and the ring gets the edge of the tree after each."""
    records = [(b'{"n":%d}' % seq, seq % 5) for seq in range(count)]
    cut = data.draw(st.integers(1, count - 1))
    batch = next(taken(ring_from(first, records)))
    head, rest = batch.split(cut)
    tree = tree_of(first)
    check(head, records[:cut], tree)
    check(rest, records[cut:], tree)


@compiled
@pytest.mark.parametrize(
    ("memory", "slots", "most", "edge"),
    [
        (b"", SLOTS, 1, b""),
        (None, SLOTS - 1, 1, b""),
        (None, 2 * SLOTS, 1, b""),
        (None, 0, 1, b""),
        (None, 1 << 60, 1, b""),
        (None, SLOTS, 0, b""),
        (None, SLOTS, -1, b""),
        (None, SLOTS, SLOTS + 1, b""),
        (None, SLOTS, 1, bytes(32)),
    ],
)
def test_what_does_not_fit_together_is_refused(memory: bytes | None, slots: int, most: int, edge: bytes) -> None:
    """A mistake of ours must not read memory that is not the ring's."""
    assert hot is not None
    ring = ring_from(0, [(b"{}", 1)])
    with pytest.raises(ValueError, match="ring"):
        hot.take(bytearray(memory) if memory is not None else ring.memory, slots, 0, most, edge)
