"""Reading back the emergency copies that a container wrote to standard output, however the output was collected.

Lines may be as the process wrote them, or wrapped by what collected them: containerd's and CRI-O's log files, Docker's
json-file, `kubectl logs --prefix --timestamps`, JSON of a log shipper. Anything may stand between them, and lines may
be cut off, repeated, and in any order.
"""

import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from riskbus.errors import FormatError
from riskbus.format.output import EMERGENCY
from riskbus.format.record import decode, leaf_hash

_INCARNATION = re.compile(r"[0-9a-f]{32}")
_BEGINNING = re.compile(rb'\{\\?"incarnation\\?":\\?"([0-9a-f]{32})\\?",\\?"seq\\?":(-1|\d{1,18}),')
_MOST_PARTS = 1000  # a record has at most 28; more is not ours


class Emergency(NamedTuple):
    """A record that was copied to standard output.

    Attributes:
        incarnation: whose it is.
        seq: its number there, -1 if the log never took it.
        record: its bytes.
    """

    incarnation: str
    seq: int
    record: bytes


class Unreadable(NamedTuple):
    """An emergency line, or a record in several of them, that is not complete.

    Attributes:
        source: the file, with the number of the line.
        incarnation: whose it is, "" if that cannot be read.
        seq: its number, -1 if it has none or that cannot be read.
        reason: what is wrong with it.
    """

    source: str
    incarnation: str
    seq: int
    reason: str


@dataclass(slots=True)
class _Parts:
    source: str
    count: int
    chunks: dict[int, bytes] = field(default_factory=dict)


class Collector:
    """Collects the records of any number of files.

    Attributes:
        lines: how many emergency lines there were.
    """

    def __init__(self) -> None:
        self._records: dict[Emergency, None] = {}
        self._parts: dict[tuple[str, int, str], _Parts] = {}
        self._complete: set[tuple[str, int, str]] = set()
        self._unreadable: list[Unreadable] = []
        self.lines = 0

    def feed(self, line: bytes, source: str) -> None:
        """Read one line of output; `source` says where it stands."""
        for text in _unwrap(line):
            self.lines += 1
            try:
                self._read(orjson.loads(text), source)
            except (ValueError, KeyError, TypeError, AttributeError) as error:  # whatever anyone may print
                begun = _BEGINNING.match(text)
                incarnation, seq = (begun[1].decode(), int(begun[2])) if begun else ("", -1)
                reason = str(error) if isinstance(error, FormatError) else "the line is cut off or damaged"
                self._unreadable.append(Unreadable(source, incarnation, seq, reason))

    def records(self) -> list[Emergency]:
        """Return each record once, in the order in which they were complete."""
        return list(self._records)

    def unreadable(self) -> list[Unreadable]:
        """Return what could not be read, without what is complete elsewhere in the input."""
        complete = {(found.incarnation, found.seq) for found in self._records if found.seq >= 0}
        incomplete = [
            Unreadable(parts.source, incarnation, seq, f"only {len(parts.chunks)} of {parts.count} parts are there")
            for (incarnation, seq, _), parts in self._parts.items()
        ]
        return [item for item in [*self._unreadable, *incomplete] if (item.incarnation, item.seq) not in complete]

    def _read(self, fields: dict[str, Any], source: str) -> None:
        incarnation, seq = fields["incarnation"], fields["seq"]
        if not isinstance(incarnation, str) or not _INCARNATION.fullmatch(incarnation) or type(seq) is not int:
            raise FormatError("incarnation or seq is not what it should be")
        if "record" in fields:
            self._keep(incarnation, seq, fields["record"].encode())
            return
        key = incarnation, seq, str(fields["hash"])
        if key in self._complete:
            return
        if key in self._parts and fields["parts"] != self._parts[key].count:
            raise FormatError("the number of parts differs from that of another part")
        if type(fields["part"]) is not int or not 1 <= fields["part"] <= int(fields["parts"]) <= _MOST_PARTS:
            raise FormatError("there is no such part")
        chunk = b64decode(fields["record_base64"], validate=True)
        parts = self._parts.setdefault(key, _Parts(source, fields["parts"]))
        parts.chunks[fields["part"]] = chunk
        if len(parts.chunks) == parts.count:
            del self._parts[key]
            record = b"".join(parts.chunks[number] for number in sorted(parts.chunks))
            if leaf_hash(record) != b64decode(key[2]):
                raise FormatError("the parts do not make the record that they announce")
            self._keep(incarnation, seq, record)
            self._complete.add(key)

    def _keep(self, incarnation: str, seq: int, record: bytes) -> None:
        if decode(record)["seq"] != seq or seq < -1:
            raise FormatError("the record has another number than its line")
        self._records.setdefault(Emergency(incarnation, seq, record))


def _unwrap(line: bytes) -> Iterator[bytes]:
    """Yield what follows the mark in a line, or in any text of a line that is JSON."""
    if EMERGENCY not in line:
        return
    if line.lstrip().startswith(b"{"):
        try:
            document = orjson.loads(line)
        except orjson.JSONDecodeError:
            pass  # JSON that is cut off, or text that begins like it
        else:
            for text in _texts(document):
                yield from _unwrap(text)
            return
    yield line[line.index(EMERGENCY) + len(EMERGENCY) :].strip()


def _texts(value: object) -> Iterator[bytes]:
    if isinstance(value, str):
        yield value.encode("utf-8", "replace")
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
