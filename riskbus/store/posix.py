"""Every durability primitive in one place.

The contract:

- A segment exists durably once `create_segment` returned: its directory entry was forced to disk.
- Bytes are durable once `sync` returned after the `write_all` that wrote them. If `sync` raises, nothing may be
  concluded about any byte since the last `sync` that returned, and that descriptor must never be synced again: the
  kernel reports the loss of dirty pages once, and the next fsync succeeds although they are gone.
- `point_symlink` replaces the link at once or not at all; readers never see it missing. It is a convenience for people
  and not forced to disk.
- A segment that is written as a whole is built under a hidden name, and `reveal` lets it appear complete and durable;
  a crash before that leaves the hidden file at most.
- A lock says that the process that writes a segment is alive. It ends with the process, however that ends.
"""

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the kernel says when space, a quota or a size limit is used up: there is no point in trying again at once."""

GONE = frozenset({errno.EROFS, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ESHUTDOWN})
"""What the kernel says when a volume is read-only, stale or gone: a container sees another one only after a restart."""

_MODE = 0o640  # the owner writes; a group of auditors may read


def create_segment(path: Path) -> int:
    """Create a file that did not exist, durably, lock it for this process and return its descriptor."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
    try:
        with suppress(OSError):  # a file system without locks only costs the link's tidiness
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        sync_directory(path.parent)
    except OSError:
        close(descriptor)
        raise
    return descriptor


def create_hidden(path: Path) -> int:
    """Create a file that no reader takes for a segment, replacing one of the same name, and return its descriptor."""
    with suppress(FileNotFoundError):
        path.unlink()
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)


def reveal(hidden: Path, path: Path) -> None:
    """Give a synced hidden file its name, durably; raises FileExistsError if the name is taken."""
    os.link(hidden, path, follow_symlinks=False)
    hidden.unlink()
    sync_directory(path.parent)


def write_all(descriptor: int, data: bytes) -> None:
    """Append all of the data; the kernel may take it in pieces."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync(descriptor: int) -> None:
    """Force what was written to stable storage. Source: fdatasync(2), POSIX.1-2024."""
    os.fdatasync(descriptor)


def sync_file(path: Path) -> bool:
    """Force a file that another process wrote to stable storage; whether that succeeded, and may be relied on."""
    try:
        descriptor = open_regular(path)
    except OSError:
        return False
    try:
        os.fdatasync(descriptor)
    except OSError:
        return False
    finally:
        close(descriptor)
    return True


def forget_cached(path: Path) -> None:
    """Let the next read of a file come from the device.

    After a failed sync the page cache still shows what the device never got; what is to be relied on is read anew.
    Call `sync_file` first: what is not yet written stays cached.
    """
    descriptor = open_regular(path)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        close(descriptor)


def open_regular(path: Path) -> int:
    """Open a file for reading, and return its descriptor.

    What is no regular file is as if it were not there: a symbolic link leads to what somebody else chose, and whoever
    opens a FIFO waits for its writer.

    Raises:
        FileNotFoundError: there is none.
        OSError: the kernel refused.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:  # a symbolic link; a socket
            raise _no_regular_file(path) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        close(descriptor)
        raise _no_regular_file(path)
    return descriptor


def regular_status(path: Path) -> os.stat_result:
    """Return what the kernel says of a file, without opening it; what is no regular file is as if it were not there.

    Raises:
        FileNotFoundError: there is none.
        OSError: the kernel refused.
    """
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise _no_regular_file(path)
    return status


def _no_regular_file(path: Path) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "there is no regular file", os.fspath(path))


def sync_directory(directory: Path) -> None:
    """Force a directory's entries to stable storage."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        close(descriptor)


def close(descriptor: int) -> None:
    """Close a descriptor, -1 for none; what the kernel says about it then changes nothing."""
    with suppress(OSError):
        os.close(descriptor)


def point_symlink(link: Path, target: str) -> None:
    """Make `link` a symbolic link to `target`, replacing a link that is there.

    Raises:
        FileExistsError: something that is not a symbolic link has this name; it is left alone.
        OSError: the kernel refused.
    """
    if not link.is_symlink() and link.exists():
        raise FileExistsError(errno.EEXIST, "exists and is not a symbolic link", os.fspath(link))
    temporary = link.with_name(f".{link.name}.{os.getpid()}.{target[-60:]}")
    with suppress(FileNotFoundError):
        temporary.unlink()
    temporary.symlink_to(target)
    temporary.replace(link)


def is_locked(path: Path) -> bool:
    """Whether a living process writes this segment."""
    try:
        descriptor = open_regular(path)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        close(descriptor)
    return False


def lock(path: Path) -> int:
    """Lock a file for this process, making it if need be, and return its descriptor; closing it ends the lock.

    Raises:
        BlockingIOError: another process has it.
        OSError: the kernel refused.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        close(descriptor)
        raise
    return descriptor


def probe(directory: Path, size: int) -> None:
    """Find out whether `size` bytes can really be made durable here, leaving nothing behind."""
    path = directory / f".riskbus-probe-{os.getpid()}"
    with suppress(FileNotFoundError):
        path.unlink()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    try:
        block = bytes(min(size, 1 << 20))
        for _ in range(0, size, len(block)):
            write_all(descriptor, block)
        sync(descriptor)
    finally:
        close(descriptor)
        with suppress(OSError):
            path.unlink()
