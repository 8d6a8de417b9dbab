"""The segment that a writer appends to."""

import os
from pathlib import Path
from time import monotonic

from riskbus.format.names import SegmentName
from riskbus.store import posix


class Segment:
    """A new file of the log, open for appending. Belongs to one thread.

    Attributes:
        name: its name.
        size: bytes appended so far.
        created: when, by the monotonic clock, in seconds.
        descriptor: the open file; -1 after `abandon`.
    """

    def __init__(self, directory: Path, name: SegmentName) -> None:
        """Create the file; raises OSError as the kernel does, FileExistsError if the name is taken."""
        self.name = name
        self.path = directory / str(name)
        self.size = 0
        self.created = monotonic()
        self._directory = _identity(directory)
        self.descriptor = posix.create_segment(self.path)

    def write(self, data: bytes) -> None:
        """Append data; after an OSError only `abandon` may follow."""
        posix.write_all(self.descriptor, data)
        self.size += len(data)

    def sync(self) -> None:
        """Make durable what was written; after an OSError only `abandon` may follow."""
        posix.sync(self.descriptor)

    def finding(self) -> str:
        """Return what happened to the file, or to its directory, behind the writer's back, or "".

        One of: deleted, replaced, truncated, directory-deleted, directory-replaced, unreachable.
        """
        try:
            if _identity(self.path.parent) != self._directory:
                return "directory-replaced"
        except FileNotFoundError:
            return "directory-deleted"
        except OSError:
            return "unreachable"
        return self._finding_of_file()

    def _finding_of_file(self) -> str:
        try:
            own = os.fstat(self.descriptor)
            seen = self.path.lstat()
        except FileNotFoundError:
            return "deleted"
        except OSError:
            return "unreachable"
        if (seen.st_dev, seen.st_ino) != (own.st_dev, own.st_ino):
            return "replaced"
        return "truncated" if own.st_size < self.size else ""

    def abandon(self) -> None:
        """Close without syncing."""
        descriptor, self.descriptor = self.descriptor, -1  # a second close would hit whoever has the number by then
        posix.close(descriptor)


def _identity(directory: Path) -> tuple[int, int]:
    status = directory.stat()
    return status.st_dev, status.st_ino
