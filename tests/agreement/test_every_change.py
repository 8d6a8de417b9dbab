"""Every single change to a small log is seen, by both verifiers."""

from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from riskbus.format.blocks import scan
from riskbus.format.record import from_line, leaf_hash, renumber, to_line
from tests.agreement.cases import Case, rehashed
from tests.agreement.in_memory import first_worst, second_worst
from tests.agreement.scribe import Scribe, finished

Agree = Callable[..., dict[str, Any]]
Lines = list[bytes]

SMALL = Scribe().open().checkpoint().events(1).close()
NAME, CONTENT = SMALL.name(0, 0), b"".join(SMALL.lines)


def _flips(content: bytes) -> Iterator[bytes]:
    for place in range(len(content)):
        for bit in range(8):
            yield content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]


def test_the_small_log_is_fine() -> None:
    """So that what follows shows the change, and nothing else."""
    assert first_worst(NAME, CONTENT) == 0
    assert second_worst(NAME, CONTENT) == 0


def test_every_flipped_bit_is_seen_by_both() -> None:
    """Every bit of every byte, none missed, and the two agree on what it means."""
    count = 0
    for changed in _flips(CONTENT):
        found = first_worst(NAME, changed)
        assert found in {1, 2}
        assert second_worst(NAME, changed) == found
        count += 1
    assert count == 8 * len(CONTENT)


def test_every_flipped_bit_stops_the_fast_way() -> None:
    """Many lines are checked at once only where nothing at all is wrong with them."""
    content = b"".join(SMALL.lines[:3])
    assert scan(content) is not None
    assert [changed for changed in _flips(content) if scan(changed) is not None] == []


def test_every_truncation_is_seen_with_anchors() -> None:
    """At every byte: as tampering if a record is gone that an anchor covers, which is all but the last."""
    for length in range(len(CONTENT)):
        found = first_worst(NAME, CONTENT[:length], SMALL.anchors())
        assert second_worst(NAME, CONTENT[:length], SMALL.anchors()) == found
        whole = CONTENT[:length].count(b"\n")
        assert found == 1 if whole < len(SMALL.lines) - 1 else found in {2, 3}, length


def test_a_truncation_without_anchors_looks_like_a_process_that_was_killed() -> None:
    """The limit that docs/limits.md names: nothing on a volume can show that the volume itself was set back."""
    closed = CONTENT.index(b'"AUDIT_CLOSE"')
    end = CONTENT.index(b"\n", closed)
    for length in range(len(CONTENT)):
        found = first_worst(NAME, CONTENT[:length])
        assert second_worst(NAME, CONTENT[:length]) == found
        assert found == 0 if length <= end and CONTENT[:length].count(b"\n") != 0 else found in {0, 2, 3}


def _deleted(lines: Lines) -> Iterator[Lines]:
    for gone in range(len(lines)):
        yield lines[:gone] + lines[gone + 1 :]


def _repeated(lines: Lines) -> Iterator[Lines]:
    for line in lines:
        for place in range(len(lines) + 1):
            yield [*lines[:place], line, *lines[place:]]


def _swapped(lines: Lines) -> Iterator[Lines]:
    for one, other in combinations(range(len(lines)), 2):
        changed = list(lines)
        changed[one], changed[other] = lines[other], lines[one]
        yield changed


def _inserted(lines: Lines) -> Iterator[Lines]:
    forged = [b"\n", b"hello\n", b"{}\n", bytes(100) + b"\n"]
    for seq in range(len(lines) + 2):
        record = renumber(seq, from_line(lines[2])[0])
        forged.append(to_line(record, leaf_hash(record)))
    for line in forged:
        for place in range(len(lines) + 1):
            yield [*lines[:place], line, *lines[place:]]


def _edited(lines: Lines) -> Iterator[Lines]:
    for place, line in enumerate(lines):
        for old, new in (
            (b'"priority":"', b'"priority":"X'),
            (b',"metadata":{}', b',"metadata":{"a":1}'),
            (b'"ts":"2026', b'"ts":"2025'),
            (b'"event_id":"', b'"event_id": "'),
            (b'"hash":"', b'"hash":"A'),
        ):
            changed = line.replace(old, new)
            assert changed != line
            yield [*lines[:place], changed, *lines[place + 1 :]]


def _renumbered(lines: Lines) -> Iterator[Lines]:
    for place, line in enumerate(lines):
        for seq in {*range(len(lines) + 2), 10**12} - {place}:
            record = renumber(seq, from_line(line)[0])
            yield [*lines[:place], to_line(record, leaf_hash(record)), *lines[place + 1 :]]


def _rehashed_edits(lines: Lines) -> Iterator[Lines]:
    """All but of the last line, which is the last checkpoint: only its own signature is sealed."""
    for place, line in enumerate(lines[:-1]):
        changed = line.replace(b',"metadata":{}', b',"metadata":{"a":1}')
        yield rehashed([*lines[:place], changed, *lines[place + 1 :]])


def _rehashed_deletions(lines: Lines) -> Iterator[Lines]:
    for gone in range(len(lines)):
        yield rehashed(lines[:gone] + lines[gone + 1 :])


def _rehashed_insertions(lines: Lines) -> Iterator[Lines]:
    for place in range(len(lines) + 1):
        yield rehashed([*lines[:place], lines[2], *lines[place:]])


def _stripped(lines: Lines) -> Iterator[Lines]:
    yield rehashed([line for line in lines if b"AUDIT_CHECKPOINT" not in line])
    yield rehashed([line for line in lines if b"AUDIT_CHECKPOINT" not in line and b"AUDIT_CLOSE" not in line])


@pytest.mark.parametrize(
    "tamper",
    [
        _deleted,
        _repeated,
        _swapped,
        _inserted,
        _edited,
        _renumbered,
        _rehashed_edits,
        _rehashed_deletions,
        _rehashed_insertions,
        _stripped,
    ],
)
def test_every_change_of_a_line_is_seen_by_both(tamper: Callable[[Lines], Iterator[Lines]]) -> None:
    """None missed, and the two agree on what it means."""
    scribe = finished()
    name = scribe.name(0, 0)
    count = 0
    for lines in tamper(scribe.lines):
        content = b"".join(lines)
        found = first_worst(name, content)
        assert found != 0, lines
        assert second_worst(name, content) == found
        count += 1
    assert count > 1


def _segments() -> Iterator[dict[str, bytes]]:
    """Every swap, removal, emptying and renaming of one of four segments."""
    files = finished().files(2, 4, 7)
    names = list(files)
    scribe = finished()
    for one, other in combinations(names, 2):
        yield files | {one: files[other], other: files[one]}
    for number, name in enumerate(names):
        others = {other: data for other, data in files.items() if other != name}
        yield others
        yield files | {name: b""}
        yield others | {name.replace("019bc1e35d637000", "019bc1e35d637001"): files[name]}
        yield others | {f"other{name}": files[name]}
        first = (0, 2, 4, 7)[number]
        for wrong in {*range(10)} - {first}:
            yield others | {scribe.name(number, wrong): files[name]}


def test_every_change_of_a_segment_is_seen_by_both(tmp_path: Path, agree: Agree) -> None:
    """With anchors, without which a last segment that is gone looks like a process that was killed."""
    for number, files in enumerate(_segments()):
        directory = tmp_path / str(number)
        Case("", files, 1).write(directory)
        assert agree(directory, finished().anchors())["exit_code"] in {1, 2, 3}, sorted(files)
