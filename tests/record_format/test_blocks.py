"""Blocks of lines: the compiled form sees what the form in Python sees, which is the reference."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskbus.format import blocks
from riskbus.format.merkle import TILE_WIDTH
from riskbus.format.record import leaf_hash, to_line, with_number

pytestmark = pytest.mark.skipif(blocks._scan is None, reason="not compiled, or no libcrypto")  # noqa: SLF001 -- it is what decides


def lines_from(first: int, count: int) -> list[bytes]:
    """Return lines of records with numbers from this one on."""
    bodies = (b'{"ts":"2026-01-15T08:00:00.%03dZ","timestamp_ns":%d}' % (seq % 1000, seq) for seq in range(count))
    records = [with_number(seq, body) for seq, body in enumerate(bodies, first)]
    return [to_line(record, leaf_hash(record)) for record in records]


firsts = st.one_of(
    st.integers(0, 3),
    st.sampled_from([8, 98, 255, 256, 257, 10**17 - 2, 10**18 - 3, 10**18, 10**19 - 3]),
    st.integers(0, 10**18),
)
counts = st.one_of(st.integers(1, 5), st.sampled_from([255, 256, 257, 511, 600]))


@given(firsts, counts)
def test_lines_in_order_give_the_same_block(first: int, count: int) -> None:
    """Wherever the tiles of the tree begin, and whatever the number of digits."""
    data = b"".join(lines_from(first, count))
    block = blocks.scan(data)
    assert block == blocks.scan_in_python(data)
    assert block is not None
    assert (block.first, block.records) == (first, count)
    assert all(number % TILE_WIDTH == 0 for number in block.tiles)
    assert blocks._scan is not None  # noqa: SLF001 -- the compiled form alone: `scan` asks the other where it is in doubt
    assert blocks._scan(data) is not None or first + count > 10**18  # noqa: SLF001 -- see above


CHANGES: dict[str, Callable[[bytes, int], bytes]] = {
    "another bit": lambda data, at: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
    "a byte less": lambda data, at: data[:at] + data[at + 1 :],
    "a byte more": lambda data, at: data[:at] + data[at : at + 1] + data[at:],
    "a line feed": lambda data, at: data[:at] + b"\n" + data[at:],
    "a NUL": lambda data, at: data[:at] + b"\0" + data[at + 1 :],
    "the end is missing": lambda data, at: data[:at],
    "the beginning is missing": lambda data, at: data[at + 1 :],
}


@given(st.sampled_from([0, 9, 99, 254]), st.integers(1, 4), st.sampled_from(list(CHANGES)), st.data())
def test_what_is_not_in_order_is_left_to_a_closer_look(
    first: int, count: int, change: str, data: st.DataObject
) -> None:
    """Any byte of any line: what one form takes for good, the other does."""
    whole = b"".join(lines_from(first, count))
    changed = CHANGES[change](whole, data.draw(st.integers(0, len(whole) - 1)))
    assert blocks.scan(changed) == blocks.scan_in_python(changed)
    assert blocks._scan is not None  # noqa: SLF001 -- the compiled form alone: `scan` asks the other where it is in doubt
    found = blocks._scan(changed)  # noqa: SLF001 -- see above
    assert (found is None) == (blocks.scan_in_python(changed) is None)


@given(st.permutations(range(4)), st.integers(0, 3))
def test_lines_out_of_order_are_noticed(order: list[int], again: int) -> None:
    """Also one that comes twice, though each matches its hash."""
    lines = lines_from(7, 4)
    for data in (b"".join(lines[number] for number in order), b"".join([*lines, lines[again]])):
        assert (blocks.scan(data) is None) == (data != b"".join(lines))


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"\n\n", b"{}\n", b'{"seq":', b'{"seq":1', b'{"seq":1,"ts":"\n', b"x" * 200 + b"\n"]
)
def test_what_is_no_line_at_all_is_none(data: bytes) -> None:
    """Nothing is read beyond the data's end."""
    assert blocks._scan is not None  # noqa: SLF001 -- see above
    assert blocks._scan(data) is None  # noqa: SLF001 -- see above
    assert blocks.scan(data) is None
