"""Records that go into a segment together: every day begins one."""

from typing import NamedTuple

from riskbus.runtime.batch import Batch


class Chunk(NamedTuple):
    """Records that are written together: neither the size of a backlog nor a day is looked for record by record.

    Attributes:
        batch: at least one.
        day: the newest day so far, as `ts` writes it.
    """

    batch: Batch
    day: bytes


def by_day(batch: Batch, newest: bytes) -> list[Chunk]:
    """Split records before each whose day comes after the newest so far, so that every day begins a segment."""
    count, chunks = len(batch.kinds), []
    newest = newest or _day(batch, 0)
    if not _day(batch, 0) == _day(batch, count - 1) == newest:
        for seq, day in enumerate([_day(batch, index) for index in range(count)], batch.first_seq):
            if day > newest:
                if seq > batch.first_seq:
                    head, batch = batch.split(seq - batch.first_seq)
                    chunks.append(Chunk(head, newest))
                newest = day
    return [*chunks, Chunk(batch, newest)]


def _day(batch: Batch, index: int) -> bytes:
    """Return the day of a record, `{"seq":…,"ts":"2026-01-15T…`."""
    start = batch.block.index(b'"ts":"', batch.start(index)) + len(b'"ts":"')
    return batch.block[start : start + len(b"2026-01-15")]
