"""Copies: lines of abandoned segments that a later segment repeats, or should have repeated."""

from hashlib import sha256
from typing import NamedTuple

from riskbus.format.findings import Findings, Place, Severity

_MAX_WAITING = 1 << 20  # copies; a writer has far fewer, and a verifier's memory must not depend on the log


class _Copy(NamedTuple):
    content: bytes  # the SHA-256 of a whole line, or the bytes of one that was torn
    torn: bool
    place: Place


class Copies:
    """The copies that wait for the lines that count."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._waiting: dict[int, list[_Copy]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def set_aside(self, seq: int, line: bytes, place: Place, *, torn: bool = False) -> None:
        """Keep a copy, with its line feed if it has one, until the line that counts is there."""
        if self._count >= _MAX_WAITING:
            message = "an abandoned segment repeats more than any writer can have waiting"
            self._findings.add("contradicted", Severity.DAMAGE, message, seq, place)
            return
        self._count += 1
        copy = _Copy(line if torn else sha256(line).digest(), torn, place)
        self._waiting.setdefault(seq, []).append(copy)

    def compare(self, seq: int, line: bytes) -> None:
        """Compare the copies with the line that counts, with its line feed."""
        for copy in self._waiting.pop(seq, ()):
            self._count -= 1
            same = line.startswith(copy.content) if copy.torn else sha256(line).digest() == copy.content
            if not same:
                message = "the copy in an abandoned segment differs from the record that counts"
                self._findings.add("contradicted", Severity.DAMAGE, message, seq, copy.place)
