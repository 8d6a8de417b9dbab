"""Making rings, handing them to another process, and finding those whose process has ended."""

import fcntl
import mmap
import os
from contextlib import suppress
from pathlib import Path

from riskbus.store import posix
from riskbus.store.ring import FOOTPRINT, Ring
from riskbus.store.ring_header import SIZE, new_header, whose

_SUFFIX = ".ring"


def create_ring(directory: Path | None, incarnation: str, log_path: str, slots: int) -> Ring:
    """Make a ring in a directory; in private memory where that is None, or has no room, or refuses.

    The file appears under its name when it is complete and locked, never before.
    """
    size = SIZE + slots * FOOTPRINT
    header = new_header(incarnation, log_path)
    if directory is not None:
        with suppress(OSError):
            return _create_shared(directory / f"riskbus-{incarnation}{_SUFFIX}", size, header)
    memory = mmap.mmap(-1, size)
    memory[: len(header)] = header
    return Ring(memory, None, -1)


def attach_ring(descriptor: int, path: Path) -> Ring:
    """Map the ring of another process, which handed this descriptor over; both hold its lock then."""
    return Ring(mmap.mmap(descriptor, 0), path, descriptor)


def find_abandoned(directory: Path, stream: tuple[int, int], log_path: str) -> list[Ring]:
    """Take over every ring of a log whose process has ended, oldest first.

    A ring belongs to a log if it was for the same directory (device and inode), or, where its writer never reached
    the volume, for the same path.
    """
    paths = sorted(directory.glob(f"riskbus-*{_SUFFIX}"))
    found = [_take_over(path) for path in paths if _concerns(path, stream, log_path)]
    return [ring for ring in found if ring is not None]


def belongs(of_ring: tuple[int, int], path_of_ring: str, stream: tuple[int, int], log_path: str) -> bool:
    """Whether a ring for this directory (device and inode) and path belongs to the log with that directory and path.

    The path counts where the ring's writer had never reached the volume.
    """
    return of_ring == stream or (of_ring[1] == 0 and path_of_ring == log_path)


def _concerns(path: Path, stream: tuple[int, int], log_path: str) -> bool:
    try:
        with path.open("rb") as file:
            found = whose(file.read(SIZE))
    except OSError:
        return False
    return found is not None and belongs(*found, stream, log_path)


def _create_shared(path: Path, size: int, header: bytes) -> Ring:
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    descriptor = lock = -1
    try:
        descriptor = os.open(path.parent, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
        os.posix_fallocate(descriptor, 0, size)  # else a full memory file system would end the process with SIGBUS
        memory = mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)
        memory[: len(header)] = header
        # A lock belongs to an open file, and the map shares the one above with every forked child: so open it again.
        lock = os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Only with a directory's descriptor does Python follow the link in /proc, as linkat(2) needs it.
        os.link(f"/proc/self/fd/{descriptor}", path.name, dst_dir_fd=directory, follow_symlinks=True)
    except OSError:
        posix.close(lock)
        raise
    finally:
        posix.close(descriptor)
        posix.close(directory)
    return Ring(memory, path, lock)


def _take_over(path: Path) -> Ring | None:
    lock = -1
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with path.open("r+b") as file:  # unless somebody was faster; a map of the lock's own file would keep the lock
            return Ring(mmap.mmap(file.fileno(), 0), path, lock)
    except (OSError, ValueError):  # its process is alive, or it is no ring
        pass
    posix.close(lock)
    return None
