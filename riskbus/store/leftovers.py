"""Rings that ended processes left behind, looked at without taking them over."""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from riskbus.store import posix
from riskbus.store.ring import FOOTPRINT, Ring
from riskbus.store.ring_files import belongs
from riskbus.store.ring_header import SIZE, whose


class Leftover(NamedTuple):
    """A ring whose process has ended.

    Attributes:
        path: the file.
        size: bytes of memory that it takes.
        log_path: the log that it belongs to.
        waiting: accepted records that its process did not see durable; some may be on the volume all the same.
        ours: whether it belongs to the log that was asked about.
    """

    path: Path
    size: int
    log_path: str
    waiting: int
    ours: bool


def find_leftovers(directory: Path, log_path: Path) -> Iterator[Leftover]:
    """Yield the rings of ended processes in a staging directory, as far as this user may read them.

    Args:
        directory: of the rings.
        log_path: absolute path of the log that is asked about.
    """
    try:
        status = log_path.parent.stat()
        stream = (status.st_dev, status.st_ino)
    except OSError:
        stream = (0, 0)
    for path in sorted(directory.glob("riskbus-*.ring")):
        if not posix.is_locked(path):
            yield from _look_at(path, stream, str(log_path))


def _look_at(path: Path, stream: tuple[int, int], log_path: str) -> Iterator[Leftover]:
    try:
        with path.open("rb") as file:
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        blocks = sum(file.stat().st_blocks for file in (path, *path.parent.glob(f"{path.name}.*")))
    except (OSError, ValueError):  # gone meanwhile, another user's, or empty
        return
    if whose(memory[:SIZE]) is None or (len(memory) - SIZE) % FOOTPRINT:
        return
    ring = Ring(memory, path, -1)
    if path.name != f"riskbus-{ring.incarnation}.ring":
        return
    waiting = len(ring.held())
    ours = belongs(ring.stream, ring.log_path, stream, log_path)
    yield Leftover(path, blocks * 512, ring.log_path, waiting, ours)
