"""A closed segment may stand compressed; everything that reads a log reads it."""

import gzip
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from riskbus.format.findings import Severity
from riskbus.store.reading import find_last, open_segment
from riskbus.store.stream import last_checkpoint, list_segments
from riskbus.store.verification import VolumeReport
from riskbus.testing import read_records

Write = Callable[..., None]
Segments = Callable[[], list[Path]]
Verify = Callable[[], VolumeReport]
Compress = Callable[[Path], Path]


def test_a_compressed_log_verifies_like_the_original(
    write: Write, segments: Segments, verify: Verify, compress_by_hand: Compress
) -> None:
    """Evidence is the bytes, not how they are packed."""
    write()
    before = verify()
    assert len(segments()) > 2
    for segment in segments():
        compress_by_hand(segment)
    after = verify()
    assert after.worst is None
    assert after.streams[0].incarnations == before.streams[0].incarnations
    assert after.streams[0].segments == before.streams[0].segments


def test_gzip_itself_makes_segments_that_are_read(write: Write, segments: Segments, verify: Verify) -> None:
    """An archive that someone compressed by hand is a log too, with its file names and times in it."""
    write()
    subprocess.run(["gzip", *segments()], check=True)
    assert verify().worst is None


def test_where_both_are_there_the_uncompressed_one_counts_once(
    write: Write, path: Path, segments: Segments, verify: Verify, compress_by_hand: Compress
) -> None:
    """A crash between the two leaves both; neither a reader nor a count may notice."""
    write()
    records = read_records(path)
    names = list_segments(path.parent)
    segment = segments()[0]
    content = segment.read_bytes()
    compress_by_hand(segment).write_bytes(b"not even gzip")
    segment.write_bytes(content)
    assert list_segments(path.parent) == names
    assert read_records(path) == records
    assert verify().worst is None


def test_the_next_incarnation_finds_the_checkpoint_in_a_compressed_segment(
    write: Write, segments: Segments, verify: Verify, compress_by_hand: Compress
) -> None:
    """Incarnations stay chained."""
    write()
    checkpoint = last_checkpoint(segments()[-1])
    assert checkpoint
    for segment in segments():
        compress_by_hand(segment)
    assert last_checkpoint(segments()[-1]) == checkpoint
    write()
    assert verify().worst is None


def test_the_last_line_is_found_in_either_form(tmp_path: Path, compress_by_hand: Compress) -> None:
    """The last one of which something can be made, whatever follows it."""
    segment = tmp_path / "segment"
    segment.write_bytes(b"".join(b"%d\n" % number for number in range(500_000)) + b"unfini")

    def even(line: bytes) -> int | None:
        return int(line) if line.strip().isdigit() and int(line) % 2 == 0 else None

    assert find_last(segment, even) == 499_998
    assert find_last(segment, lambda _: None) is None
    compress_by_hand(segment)
    assert find_last(segment, even) == 499_998
    assert find_last(segment, lambda _: None) is None


def test_damage_in_one_member_hides_no_record_in_another(
    write: Write, path: Path, segments: Segments, verify: Verify, compress_by_hand: Compress
) -> None:
    """One bad block on a disk must not cost a whole segment."""
    write()
    records = len(read_records(path))
    compressed = compress_by_hand(segments()[1])
    content = bytearray(compressed.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 20] = bytes(20)
    compressed.write_bytes(content)
    report = verify()
    kinds = {finding.kind for finding in report.findings}
    assert "malformed" in kinds
    assert kinds & {"missing", "altered"}  # what the rest of the block decodes to may still look like a line
    assert report.worst in {Severity.DAMAGE, Severity.TAMPERING}  # the kernel's bad block and a hand look alike
    assert records - 60 < report.streams[0].incarnations[0].records < records


@pytest.mark.parametrize("rest", [5, 15, 100])
def test_a_compressed_segment_that_was_cut_off_is_damaged(
    write: Write, segments: Segments, verify: Verify, compress_by_hand: Compress, rest: int
) -> None:
    """Within a member's header, its content and its trailer."""
    write()
    compressed = compress_by_hand(segments()[-1])
    content = compressed.read_bytes()
    compressed.write_bytes(content[:-rest])
    assert "malformed" in {finding.kind for finding in verify().findings}


def test_a_flipped_bit_changes_no_line_unseen(tmp_path: Path) -> None:
    """Every bit: either the same lines come out, or a line that is no record says so."""
    lines = [b'{"seq":%d,"data":"%b"}\n' % (number, b"abc" * number) for number in range(8)]
    whole = gzip.compress(b"".join(lines[:4]), mtime=0) + gzip.compress(b"".join(lines[4:]), mtime=0)
    compressed = tmp_path / "segment.gz"
    for bit in range(len(whole) * 8):
        spoilt = bytearray(whole)
        spoilt[bit // 8] ^= 1 << bit % 8
        compressed.write_bytes(spoilt)
        with open_segment(tmp_path / "segment") as segment:
            found = list(segment)
        assert found == lines or any(b"is damaged" in line for line in found), f"bit {bit}"
