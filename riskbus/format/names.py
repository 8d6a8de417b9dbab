"""Names of segments: `<stem>-<incarnation>-<n>-<first_seq>.jsonl`, with `.gz` after it where they are compressed.

The incarnation is a UUID version 7 as 32 hexadecimal digits, so names sort by the time their writers started; `n`
counts the segments of an incarnation from 0, and `first_seq` is the sequence number of the first record.
"""

import re
from dataclasses import dataclass

SUFFIX = ".jsonl"
COMPRESSED = ".gz"
_NAME = re.compile(
    r"(?P<stem>.+)-(?P<incarnation>[0-9a-f]{32})-(?P<n>[0-9]{6,19})-(?P<first_seq>[0-9]{12,19})\.jsonl(\.gz)?"
)


@dataclass(frozen=True, slots=True, order=True)
class SegmentName:
    """The parts of a segment's name, in the order in which segments sort."""

    stem: str
    incarnation: str
    n: int
    first_seq: int

    def __str__(self) -> str:
        return f"{self.stem}-{self.incarnation}-{self.n:06d}-{self.first_seq:012d}{SUFFIX}"


def parse_segment_name(name: str) -> SegmentName | None:
    """Return the parts of a segment's name, compressed or not, or None for the name of anything else."""
    match = _NAME.fullmatch(name)
    if not match:
        return None
    parsed = SegmentName(match["stem"], match["incarnation"], int(match["n"]), int(match["first_seq"]))
    return parsed if str(parsed) == name.removesuffix(COMPRESSED) else None
