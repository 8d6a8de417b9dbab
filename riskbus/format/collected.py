"""Putting together the lines that a container runtime took apart.

containerd and CRI-O mark each line of their files as partial (P) or full (F); Docker's json-file leaves the line feed
out of a partial one. Both do it with lines above 16 KiB. An emergency copy is shorter, but stands at the end of such a
line if the workload wrote a long text without a line feed before it.

Sources: Kubernetes' CRI logging format, Docker's json-file driver.
"""

import re

import orjson

_CRI = re.compile(rb"(\d{4}-\d\d-\d\dT\S+ (?:stdout|stderr)) ([PF])(?::\S*)? (.*)", re.DOTALL)
_LIMIT = 1 << 20  # bytes of one line that are kept; an emergency copy has 4 KiB


class Joiner:
    """Joins partial lines of one file, for standard output and standard error apart."""

    def __init__(self) -> None:
        self._begun: dict[bytes, bytes] = {}

    def join(self, line: bytes) -> bytes | None:
        """Return the line with what came before it, as it is if it is none of these; None while it is partial."""
        partial, stream, text = _take_apart(line)
        if not stream:
            return line
        before = self._begun.pop(stream, b"")
        if partial:
            self._begun[stream] = (before + text)[-_LIMIT:]
            return None
        return before + text if before else line


def _take_apart(line: bytes) -> tuple[bool, bytes, bytes]:
    """Return whether a line is partial, the stream that it belongs to (empty if nothing says so), and its text."""
    if found := _CRI.fullmatch(line):
        partial = found[2] == b"P"
        return partial, found[1].rpartition(b" ")[2], found[3].removesuffix(b"\n") if partial else found[3]
    if line.startswith(b'{"log":'):
        try:
            document = orjson.loads(line)
            text, stream = document["log"].encode("utf-8", "replace"), document["stream"].encode()
        except (ValueError, KeyError, TypeError, AttributeError):
            return False, b"", line
        return not text.endswith(b"\n"), stream, text
    return False, b"", line
