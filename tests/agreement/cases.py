"""What a case of the corpus is, and what cases are made with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from riskbus.format.record import from_line, leaf_hash, renumber, to_line
from tests.agreement.scribe import Scribe


@dataclass(frozen=True)
class Case:
    """A directory and what a verifier must say about it.

    Attributes:
        about: one sentence.
        files: contents by path.
        exit_code: of a verifier.
        kinds: of the findings, each once.
        anchors: what standard output said, empty for nothing.
    """

    about: str
    files: dict[str, bytes]
    exit_code: int
    kinds: frozenset[str] = field(default_factory=frozenset)
    anchors: bytes = b""

    def write(self, directory: Path) -> None:
        """Put the files into a directory."""
        for name, content in self.files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


Make = Callable[[], Case]


def adding_to(cases: dict[str, Make]) -> Callable[[Make], Make]:
    """Return the decorator that puts a case among others, under its name."""

    def add(make: Make) -> Make:
        cases[make.__name__.strip("_").replace("_", "-")] = make
        return make

    return add


def rehashed(lines: list[bytes]) -> list[bytes]:
    """Make every number and every hash right again, as a forger without the key does."""
    records = [renumber(seq, from_line(line)[0]) for seq, line in enumerate(lines)]
    return [to_line(record, leaf_hash(record)) for record in records]


def one(scribe: Scribe, lines: list[bytes] | None = None, rest: bytes = b"") -> dict[str, bytes]:
    """Return an incarnation, or these lines and this rest in its place, as the only segment."""
    return {scribe.name(0, 0): b"".join(scribe.lines if lines is None else lines) + rest}


def kinds_of(*kinds: str) -> frozenset[str]:
    """Return the kinds of findings that a case has, each once."""
    return frozenset(kinds)


def edited(scribe: Scribe) -> list[bytes]:
    """Return the lines of a finished log after a plain edit of one record."""
    return [line.replace(b'"limit":1000,"position":1003', b'"limit":9999,"position":1003') for line in scribe.lines]
