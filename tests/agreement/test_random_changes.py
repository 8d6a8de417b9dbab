"""Both verifiers agree also where several things happened to a log at once."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from riskbus.errors import FormatError
from riskbus.format.record import leaf_hash, to_line
from tests.agreement.cases import Case, rehashed
from tests.agreement.corpus_torn import heir_of, killed
from tests.agreement.scribe import Scribe, finished

FIRST = finished(0)
SECOND = finished(1, FIRST)
LIVING = Scribe(2).open(SECOND).checkpoint().events(3)


def _change(content: bytes, kind: str, place: int, value: int) -> bytes:
    """Change one thing about a segment."""
    lines = content.splitlines(keepends=True)
    line, byte = place % (len(lines) or 1), place % (len(content) or 1)
    other = value % (len(lines) or 1)
    if kind == "flip" and content:
        return content[:byte] + bytes([content[byte] ^ 1 << value % 8]) + content[byte + 1 :]
    if kind == "cut":
        return content[:byte]
    if kind == "zeros":
        return content[:byte] + bytes(value % 700) + content[byte + value % 700 :]
    if kind == "delete":
        del lines[line : line + 1 + value % 2]
    elif kind == "repeat":
        lines[other:other] = lines[line : line + 1]
    elif kind == "insert":
        lines.insert(line, [b"\n", b"{}\n", FIRST.lines[other % len(FIRST.lines)], SECOND.lines[2]][value % 4])
    elif kind == "rehash":
        with suppress(FormatError, ValueError):  # a line that is damaged already cannot be made right
            lines = rehashed([text.replace(b'"limit":1000', b'"limit":%d' % value) for text in lines])
    return b"".join(lines)


CHANGES = st.tuples(
    st.sampled_from(["flip", "cut", "zeros", "delete", "repeat", "insert", "rehash"]),
    st.integers(0, 9),
    st.integers(0, 6000),
    st.integers(0, 6000),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.integers(1, 8), max_size=3, unique=True).map(sorted),
    changes=st.lists(CHANGES, max_size=4),
    anchored=st.sampled_from([b"", FIRST.anchors(), SECOND.anchors(), FIRST.anchors() + SECOND.anchors()]),
)
@example(cuts=[1], changes=[("zeros", 0, 15, 1), ("rehash", 0, 0, 0)], anchored=b"")  # AUDIT_OPEN, hashed, is not JSON
def test_both_say_the_same_whatever_happened(
    cuts: list[int], changes: list[tuple[str, int, int, int]], anchored: bytes, agree: Callable[..., dict[str, Any]]
) -> None:
    """Kinds, places, counts and verdicts, after up to four changes to three incarnations."""
    files = FIRST.files(*cuts) | SECOND.files() | LIVING.files()
    for kind, number, place, value in changes:
        name = sorted(files)[number % len(files)]
        files[name] = _change(files[name], kind, place, value)
    with TemporaryDirectory() as directory:
        Case("", files, 0).write(Path(directory))
        document = agree(Path(directory), anchored)
        if not changes:
            assert document["exit_code"] == 0


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(torn=st.integers(1, 400), cut=st.integers(1, 4), changes=st.lists(CHANGES, max_size=3))
def test_both_say_the_same_of_half_a_line_that_was_recovered(
    torn: int, cut: int, changes: list[tuple[str, int, int, int]], agree: Callable[..., dict[str, Any]]
) -> None:
    """Wherever the line was cut off, and whatever happened to it, to its record, or to what is said of them."""
    first, record = killed()
    files = first.files() | heir_of(first, record).close().files(cut)
    files[first.name(0, 0)] += to_line(record, leaf_hash(record))[:-1][:torn]
    for kind, number, place, value in changes:
        name = sorted(files)[number % len(files)]
        files[name] = _change(files[name], kind, place, value)
    with TemporaryDirectory() as directory:
        Case("", files, 0).write(Path(directory))
        document = agree(Path(directory))
        if not changes:
            assert document["exit_code"] == 0
