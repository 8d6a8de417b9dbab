"""Which records someone wants to see. Pure."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from riskbus.errors import FormatError
from riskbus.events import RESERVED_PREFIX
from riskbus.format import record


@dataclass(frozen=True, slots=True)
class Entry:
    """A record that was read.

    Attributes:
        line: its line, with line feed.
        fields: the nine fields.
        timestamp_ns: its time, 0 if it has none that is a number.
    """

    line: bytes
    fields: dict[str, Any]
    timestamp_ns: int


def read_entry(line: bytes) -> Entry:
    """Read a line; its hash is not compared.

    Raises:
        FormatError: it is no record.
    """
    if not line.endswith(b"\n"):
        raise FormatError("the line is unfinished")
    fields = record.decode(record.from_line(line)[0])
    time = fields["timestamp_ns"]
    return Entry(line, fields, time if type(time) is int else 0)


@dataclass(frozen=True, slots=True)
class Selection:
    """What a record must be like; an empty attribute asks for nothing.

    Attributes:
        types: one of these event types.
        priorities: one of these priorities.
        sources: a source that matches one of these patterns, in which * stands for anything.
        event_ids: one of these.
        since_ns, until_ns: a time from, and before, these nanoseconds since the epoch.
        control: whether the log's own records are wanted although no type names them.
    """

    types: frozenset[str] = frozenset()
    priorities: frozenset[str] = frozenset()
    sources: tuple[str, ...] = ()
    event_ids: frozenset[str] = frozenset()
    since_ns: int | None = None
    until_ns: int | None = None
    control: bool = False

    def wants(self, entry: Entry) -> bool:
        """Whether the record is one of those."""
        fields = entry.fields
        kind = str(fields["event_type"])
        if kind not in self.types if self.types else kind.startswith(RESERVED_PREFIX) and not self.control:
            return False
        if self.priorities and str(fields["priority"]) not in self.priorities:
            return False
        if self.event_ids and str(fields["event_id"]) not in self.event_ids:
            return False
        if self.sources and not any(fnmatchcase(str(fields["source"]), pattern) for pattern in self.sources):
            return False
        late_enough = self.since_ns is None or entry.timestamp_ns >= self.since_ns
        return late_enough and (self.until_ns is None or entry.timestamp_ns < self.until_ns)
