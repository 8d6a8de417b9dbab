"""Every change to a finished log is seen, and named for what it is."""

import random
import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from riskbus.format import checkpoint
from riskbus.format.anchors import Anchor
from riskbus.format.checking import IncarnationChecker
from riskbus.format.checkpoint import Signer
from riskbus.format.findings import Dimension, Severity, worst
from riskbus.format.merkle import Tree
from riskbus.format.names import SegmentName
from riskbus.format.record import decode, encode_control, from_line, leaf_hash, to_line, with_number
from riskbus.runtime import AuditLog
from riskbus.store.stream import last_checkpoint, list_segments
from riskbus.store.verification import VolumeReport

Verify = Callable[..., VolumeReport]
Kinds = Callable[..., set[str]]


def _lines(segment: Path) -> list[bytes]:
    return segment.read_bytes().splitlines(keepends=True)


def _worst_of(name: SegmentName, content: bytes) -> Severity | None:
    """Check one finished segment in memory."""
    checker = IncarnationChecker(name.incarnation)
    checker.begin_segment(name, None)
    byte = 0
    for number, line in enumerate(content.splitlines(keepends=True) if content else [], 1):
        if line.endswith(b"\n"):
            checker.feed(line, number, byte)
        else:
            checker.feed_rest(line, number, byte, in_flight=not checker.summary.closed)
        byte += len(line)
    checker.finish()
    return worst(checker.findings.listed)


def test_an_untouched_log_is_fine(verify: Verify) -> None:
    """And every number of it is accounted for."""
    report = verify()
    assert report.worst is None
    (summary,) = report.streams[0].incarnations
    assert summary.events == 5
    assert summary.closed
    assert summary.unsealed == 0
    assert summary.sealed == summary.records - 1  # all but the checkpoint that seals


def test_no_flipped_bit_goes_unseen(name: SegmentName, segment: Path) -> None:
    """One bit in every byte of the file, whichever it is."""
    content = segment.read_bytes()
    choose = random.Random(0)  # noqa: S311 -- a reproducible choice, not a secret
    assert _worst_of(name, content) is None
    unseen = []
    for place in range(len(content)):
        bit = 1 << choose.randrange(8)
        changed = content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]
        if _worst_of(name, changed) is None:
            unseen.append((place, bit))
    assert unseen == []


def test_no_removed_line_goes_unseen(name: SegmentName, segment: Path) -> None:
    """Except the last checkpoint, whose absence leaves AUDIT_CLOSE unsealed."""
    lines = _lines(segment)
    for gone in range(len(lines)):
        assert _worst_of(name, b"".join(lines[:gone] + lines[gone + 1 :])) is not None


def test_no_swap_repetition_or_insertion_of_lines_goes_unseen(name: SegmentName, segment: Path) -> None:
    """Order and number of records are part of the evidence."""
    lines = _lines(segment)
    for one in range(len(lines)):
        for other in range(one + 1, len(lines)):
            swapped = list(lines)
            swapped[one], swapped[other] = swapped[other], swapped[one]
            assert _worst_of(name, b"".join(swapped)) is Severity.TAMPERING
        assert _worst_of(name, b"".join(lines[: one + 1] + lines[one:])) is Severity.TAMPERING
        assert _worst_of(name, b"".join([*lines[:one], b"\n", *lines[one:]])) is Severity.DAMAGE


def test_an_edit_is_named_with_its_place(verify: Verify, segment: Path) -> None:
    """File, line, number, offset and kind."""
    lines = _lines(segment)
    line = next(number for number, text in enumerate(lines) if b'"number":3' in text)
    segment.write_bytes(segment.read_bytes().replace(b'"limit":3000', b'"limit":9999'))
    (finding,) = verify().findings
    assert (finding.kind, finding.severity, finding.dimension) == (
        "altered",
        Severity.TAMPERING,
        Dimension.INTEGRITY,
    )
    assert finding.place.file == segment.name
    assert finding.place.line == line + 1
    assert finding.place.byte == sum(map(len, lines[:line]))
    assert finding.seq == line


def _rehashed(lines: list[bytes]) -> bytes:
    """What a clever forger writes: every hash and every number right again."""
    records = [re.sub(rb"\d+", b"%d" % seq, from_line(line)[0], count=1) for seq, line in enumerate(lines)]
    return b"".join(to_line(record, leaf_hash(record)) for record in records)


def test_an_edit_with_every_hash_made_right_breaks_the_seal(kinds: Kinds, segment: Path) -> None:
    """An unkeyed hash alone proves nothing; the signature does."""
    edited = [line.replace(b'"limit":3000', b'"limit":9999') for line in _lines(segment)]
    segment.write_bytes(_rehashed(edited))
    assert kinds() == {"root"}


def test_a_removed_record_with_every_hash_made_right_breaks_the_seal(kinds: Kinds, segment: Path) -> None:
    """Renumbering does not help either."""
    segment.write_bytes(_rehashed([line for line in _lines(segment) if b'"number":3' not in line]))
    assert "root" in kinds() or "seal" in kinds()


def test_a_log_without_its_seals_is_not_accepted(verify: Verify, segment: Path) -> None:
    """Stripping every checkpoint must not make a forgery pass."""
    segment.write_bytes(_rehashed([line for line in _lines(segment) if b"AUDIT_CHECKPOINT" not in line]))
    report = verify()
    assert {finding.kind for finding in report.findings} == {"unsealed"}
    assert report.worst is Severity.UNDECIDED


def _anchor(segment: Path, key: str = "") -> Anchor:
    return Anchor(checkpoint.parse(last_checkpoint(segment)), key, "anchor.txt")


def _resealed(segment: Path) -> None:
    """What the strongest forger writes: an edit, and everything signed again with a key of their own."""
    lines = _lines(segment)
    opened = decode(from_line(lines[0])[0])
    signer = Signer(f"{opened['data']['stream']}/{opened['data']['incarnation']}")
    tree = Tree()
    roots = [tree.root()]
    forged = []
    for line in lines:
        fields = decode(from_line(line.replace(b'"limit":3000', b'"limit":9999'))[0])
        if fields["event_type"] == "AUDIT_OPEN":
            fields["data"]["public_key"] = signer.verifier_key
        if fields["event_type"] == "AUDIT_CHECKPOINT":
            size = checkpoint.parse(fields["data"]["note"]).size
            fields["data"]["note"] = signer.sign(size, roots[size]).note
        body = encode_control(fields["event_type"], fields["data"], fields["event_id"], fields["timestamp_ns"])
        record = with_number(fields["seq"], body)
        tree.append(leaf_hash(record))
        roots.append(tree.root())
        forged.append(to_line(record, leaf_hash(record)))
    segment.write_bytes(b"".join(forged))


def test_a_forgery_signed_with_another_key_is_seen_by_an_anchor_only(verify: Verify, segment: Path) -> None:
    """What stands on the volume alone cannot show this; that is what anchors are for."""
    anchor = _anchor(segment)
    key = next(decode(from_line(line)[0]) for line in _lines(segment))["data"]["public_key"]
    _resealed(segment)
    assert verify().worst is None
    assert {finding.kind for finding in verify(anchor).findings} == {"anchor"}
    with_key = {finding.kind for finding in verify(_with_key(anchor, key)).findings}
    assert with_key == {"key", "anchor"}
    assert verify(anchor).worst is Severity.TAMPERING


def _with_key(anchor: Anchor, key: str) -> Anchor:
    return Anchor(anchor.checkpoint, key, anchor.source)


def test_a_matching_anchor_confirms(verify: Verify, segment: Path) -> None:
    """And says how much it covers."""
    anchor = _anchor(segment)
    report = verify(anchor)
    assert report.worst is None
    assert report.streams[0].incarnations[0].anchored == anchor.checkpoint.size


def test_a_cut_off_tail_is_seen_by_an_anchor(verify: Verify, segment: Path) -> None:
    """Back to an earlier checkpoint: everything left is genuine, and still it is not the log."""
    anchor = _anchor(segment)
    lines = _lines(segment)
    first_seal = next(number for number, line in enumerate(lines) if b"AUDIT_CHECKPOINT" in line)
    segment.write_bytes(b"".join(lines[: first_seal + 1]))
    assert verify().worst is None
    assert {finding.kind for finding in verify(anchor).findings} == {"truncated"}
    assert verify(anchor).worst is Severity.TAMPERING


def test_a_cut_off_tail_is_seen_by_the_next_incarnation(
    verify: Verify, segment: Path, directory: Path, write: Callable[..., AuditLog]
) -> None:
    """Each AUDIT_OPEN is an anchor for the one before."""
    write(directory / "risk_audit.jsonl")
    assert verify().worst is None
    lines = _lines(segment)
    first_seal = next(number for number, line in enumerate(lines) if b"AUDIT_CHECKPOINT" in line)
    segment.write_bytes(b"".join(lines[: first_seal + 1]))
    assert {finding.kind for finding in verify().findings} == {"truncated"}


def test_a_removed_incarnation_is_missed_by_the_next(
    verify: Verify, segment: Path, directory: Path, write: Callable[..., AuditLog]
) -> None:
    """Pruned or stolen: the verifier cannot know, and says so."""
    write(directory / "risk_audit.jsonl")
    segment.unlink()
    report = verify()
    assert {finding.kind for finding in report.findings} == {"absent"}
    assert report.worst is Severity.UNDECIDED


def test_a_removed_incarnation_is_proved_by_an_anchor(
    verify: Verify, segment: Path, directory: Path, write: Callable[..., AuditLog]
) -> None:
    """Who kept the anchor can show that it existed."""
    anchor = _anchor(segment)
    write(directory / "risk_audit.jsonl")
    segment.unlink()
    report = verify(anchor)
    assert "removed" in {finding.kind for finding in report.findings}
    assert report.worst is Severity.TAMPERING


def test_an_anchor_of_another_stream_is_not_passed_over(verify: Verify) -> None:
    """Verifying the wrong directory must not look like success."""
    signer = Signer("other/stream/risk_audit/" + "0" * 32)
    stranger = Anchor(signer.sign(1, sha256(b"").digest()), signer.verifier_key, "anchor.txt")
    report = verify(stranger)
    assert {finding.kind for finding in report.findings} == {"stray"}
    assert report.worst is Severity.UNDECIDED


def test_a_removed_segment_is_missed(verify: Verify, directory: Path, segment: Path) -> None:
    """A whole file in the middle of an incarnation."""
    lines = _lines(segment)
    (name,) = list_segments(directory)
    half = len(lines) // 2
    later = directory / str(SegmentName(name.stem, name.incarnation, 1, half))
    later.write_bytes(b"".join(lines[half:]))
    segment.write_bytes(b"".join(lines[:half]))
    assert verify().worst is None
    segment.unlink()
    assert {finding.kind for finding in verify().findings} >= {"missing"}
    assert verify().worst is Severity.TAMPERING


@pytest.mark.parametrize("signature", ["", "A" * 92, b64encode(bytes(68)).decode()])
def test_a_seal_with_a_wrong_signature_is_seen(kinds: Kinds, segment: Path, signature: str) -> None:
    """Also where the record around it was hashed again."""
    note = last_checkpoint(segment)
    genuine = note.rstrip("\n").rpartition(" ")[2]
    edited = [line.replace(genuine.encode(), signature.encode()) for line in _lines(segment)]
    segment.write_bytes(_rehashed(edited))
    assert kinds() >= {"signature"}
