"""Names of segments, and the lines on standard output."""

import json
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskbus.format.checkpoint import Signer
from riskbus.format.names import SegmentName, parse_segment_name
from riskbus.format.output import MAX_LINE_BYTES, anchor_line, emergency_lines

INCARNATION = "019bc1e35d6370008000000000000000"


@given(st.from_regex(r"[a-z_.-]{1,20}", fullmatch=True), st.integers(0, 10**7), st.integers(0, 10**15))
def test_a_name_is_read_as_it_was_written(stem: str, n: int, first_seq: int) -> None:
    """Also where the stem looks like a part of the name, and where the segment is compressed."""
    name = SegmentName(stem, INCARNATION, n, first_seq)
    assert parse_segment_name(str(name)) == name
    assert parse_segment_name(f"{name}.gz") == name


@pytest.mark.parametrize(
    "name",
    [
        "risk_audit.jsonl",
        f"risk_audit-{INCARNATION}-0-0.jsonl",
        f"risk_audit-{INCARNATION}-000000-000000000000.jsonl.gz.part",
        f"risk_audit-{INCARNATION}-0000000-000000000000.jsonl",  # more zeros than needed: two spellings of one name
        f"risk_audit-{INCARNATION.upper()}-000000-000000000000.jsonl",
    ],
)
def test_other_files_are_not_taken_for_segments(name: str) -> None:
    """Whatever else lies in the directory is not evidence of ours."""
    assert parse_segment_name(name) is None


def test_names_sort_as_their_records_do() -> None:
    """`cat *.jsonl` shows the log in order."""
    names = [SegmentName("a", INCARNATION, n, n * 1000) for n in range(1200)]
    assert sorted(map(str, names)) == [str(name) for name in names]


@given(st.text(max_size=9000))
def test_emergency_lines_fit_into_a_pipe_and_carry_every_byte(text: str) -> None:
    """Longer lines could be mixed with those of other writers."""
    record = json.dumps({"seq": 7, "text": text}, ensure_ascii=False).encode("utf-8", "replace")
    lines = emergency_lines(INCARNATION, 7, record)
    assert all(line.startswith(b"AUDIT_EMERGENCY {") and line.endswith(b"}\n") for line in lines)
    assert all(len(line) <= MAX_LINE_BYTES and line.count(b"\n") == 1 for line in lines)
    parts = [json.loads(line.removeprefix(b"AUDIT_EMERGENCY ")) for line in lines]
    if "record" in parts[0]:
        assert [part["record"].encode() for part in parts] == [record]
    else:
        assert [part["part"] for part in parts] == list(range(1, len(parts) + 1))
        assert b"".join(b64decode(part["record_base64"]) for part in parts) == record


def test_an_anchor_line_fits_into_a_pipe() -> None:
    """With the longest stream name there can be: namespace, directory and stem."""
    signer = Signer(f"{'n' * 63}/{'d' * 255}/{'s' * 220}/{INCARNATION}")
    line = anchor_line(signer.sign(10**18, bytes(32)), signer.verifier_key)
    assert len(line) <= MAX_LINE_BYTES
    assert line.count(b"\n") == 1
