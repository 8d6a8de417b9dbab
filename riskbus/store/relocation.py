"""Putting a closed segment elsewhere, so that a crash at any step loses nothing: compressed, or into another directory.

    segment                  lock it: whoever writes or relocates a segment holds its lock
    segment, .part           copy whole lines, piece by piece, each synced
    segment, .part           read back from the device, and compare with the segment byte for byte
    segment, target          rename, sync the directory: two equal files, of which readers count one
             target          if the segment is still the one that was read, remove it

What an earlier run left is finished or done again.
"""

import errno
import fcntl
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from riskbus.store import posix
from riskbus.store.reading import compressed_path, open_compressed, open_segment

_PIECE = 1 << 20  # bytes of lines in a gzip member: what a damaged block can cost at most
_LEVEL = 6  # zlib's default: a higher one takes several times as long for a few percent
_GZIP = 31  # for zlib: the largest window, and gzip's header and trailer
_ROOM = 2  # how many times the segment's size must be free, so that this never fills the volume up


class _Form(NamedTuple):
    """How a copy is written and read.

    Attributes:
        encode: makes what is written of a piece.
        open: opens the copy, and gives the segment's bytes.
    """

    encode: Callable[[bytes], bytes]
    open: Callable[[Path], BinaryIO]


def compress(segment: Path, rest: Callable[[], None]) -> bool:
    """Replace a closed segment by its compressed form, unless someone else holds it; whether that was done.

    Args:
        segment: its path, without `.gz`.
        rest: called after each piece, to leave the processor and the disk to others.

    Raises:
        OSError: the kernel refused something; the segment is as it was.
    """
    return _relocate(segment, compressed_path(segment), _Form(_gzip, open_compressed), rest, overwrite=True)


def move(segment: Path, directory: Path, rest: Callable[[], None]) -> bool:
    """Move a closed segment to a directory, under its own name, unless someone else holds it; whether that was done.

    Arguments and errors are those of `compress`; FileExistsError says that a different segment of this name is there.
    """
    return _relocate(segment, directory / segment.name, _Form(bytes, open_segment), rest, overwrite=False)


def _gzip(lines: bytes) -> bytes:
    member = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    return member.compress(lines) + member.flush()


def _relocate(segment: Path, target: Path, form: _Form, rest: Callable[[], None], *, overwrite: bool) -> bool:
    descriptor = os.open(segment, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as original:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # a living writer, another relocation, or a file system where nobody can tell
            return False
        before = os.fstat(descriptor)
        if not _same(segment, before) or not _room(target.parent, before.st_size):
            return False
        present = _compare(original, target, form, before.st_size)
        if present is False and not overwrite:
            raise FileExistsError(errno.EEXIST, "another segment of this name is there", os.fspath(target))
        if not present:
            _write(original, target, form, before, rest)
        if not _same(segment, before):  # written to after all
            target.unlink()
            return False
        segment.unlink()
        posix.sync_directory(segment.parent)
        return True


def _write(original: BinaryIO, target: Path, form: _Form, like: os.stat_result, rest: Callable[[], None]) -> None:
    part = target.with_name(f".{target.name}.part")
    try:
        _fill(part, original, form, like, rest)
        if not _compare(original, part, form, like.st_size):
            raise OSError(f"{target} did not read back as it was written")  # noqa: TRY301 -- it goes like any other
        part.rename(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    posix.sync_directory(target.parent)


def _fill(part: Path, original: BinaryIO, form: _Form, like: os.stat_result, rest: Callable[[], None]) -> None:
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        for lines in _pieces(original, like.st_size):
            posix.write_all(descriptor, form.encode(lines))
            posix.sync(descriptor)
            rest()
        os.fchmod(descriptor, like.st_mode & 0o777)
        with suppress(OSError):  # not permitted where the segment is another user's
            os.fchown(descriptor, like.st_uid, like.st_gid)
        os.utime(descriptor, ns=(like.st_atime_ns, like.st_mtime_ns))
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)  # so that what is read back comes from the device
    finally:
        posix.close(descriptor)


def _pieces(original: BinaryIO, size: int) -> Iterator[bytes]:
    original.seek(0)
    while size > 0:  # not to the end: a segment that grows would never be done
        lines = original.read(min(_PIECE, size))
        if not lines:
            return
        lines += original.readline(size - len(lines))
        size -= len(lines)
        yield lines


def _compare(original: BinaryIO, copy: Path, form: _Form, size: int) -> bool | None:
    """Whether the copy holds the same bytes, None if there is no copy."""
    original.seek(0)
    try:
        file = form.open(copy)
    except FileNotFoundError:
        return None
    with file:
        while size > 0:
            block = original.read(min(_PIECE, size))
            if not block or block != file.read(len(block)):
                return False
            size -= len(block)
        return not file.read(1)


def _same(segment: Path, before: os.stat_result) -> bool:
    now = segment.lstat()
    return (now.st_ino, now.st_size, now.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)


def _room(directory: Path, size: int) -> bool:
    volume = os.statvfs(directory)
    return volume.f_bavail * volume.f_frsize >= _ROOM * size
