"""Both verifiers over one segment in memory: thousands of changes in the time that a directory takes for a few."""

import io

from riskbus.format.anchors import parse_anchors
from riskbus.format.checking import IncarnationChecker
from riskbus.format.findings import worst
from riskbus.format.names import parse_segment_name
from tools import verify_audit


def first_worst(name: str, content: bytes, anchors: bytes = b"") -> int:
    """Return the exit code that follows from what `riskbus verify` finds in the only segment of a log."""
    parsed = parse_segment_name(name)
    assert parsed is not None
    checker = IncarnationChecker(parsed.incarnation)
    for anchor in parse_anchors(anchors, "anchors") if anchors else []:
        checker.expect(anchor)
    checker.begin_segment(parsed, None)
    byte = 0
    for number, line in enumerate(io.BytesIO(content), 1):
        if line.endswith(b"\n"):
            checker.feed(line, number, byte)
        else:
            checker.feed_rest(line, number, byte, in_flight=True)
        byte += len(line)
    checker.finish()
    return int(worst(checker.findings.listed) or 0)


def second_worst(name: str, content: bytes, anchors: bytes = b"") -> int:
    """Return the same of `verify_audit.py`."""
    parts = verify_audit.parse_name(name)
    assert parts is not None
    segment = verify_audit.Segment("", name, size=len(content), **parts)
    kept = verify_audit.parse_anchors(anchors, "anchors") if anchors else []
    incarnation = verify_audit.Incarnation(segment.id, {anchor.checkpoint.size for anchor in kept})
    incarnation.begin(segment, verify_audit.NEVER)
    for line in io.BytesIO(content):
        if line.endswith(b"\n"):
            incarnation.take(line[:-1])
        else:
            incarnation.rest(line, last=True, live=True)
    incarnation.finish()
    if kept:
        incarnation.compare(kept)
    found = {finding["severity"] for finding in incarnation.findings.listed}
    return next((code for code, severity in enumerate(verify_audit.SEVERITIES, 1) if severity in found), 0)
