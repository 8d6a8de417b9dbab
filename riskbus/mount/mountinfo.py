"""Reading the mount table. Source: proc_pid_mountinfo(5)."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of the mount table.

    Attributes:
        root: the directory of the file system that forms the root of this mount.
        point: where it is mounted.
        filesystem: type of the file system, for example ext4.
        read_only: whether the mount or the file system under it refuses writes.
    """

    root: str
    point: str
    filesystem: str
    read_only: bool


def parse_mountinfo(text: str) -> list[Mount]:
    """Read a mount table; later mounts cover earlier ones at the same place."""
    return [_parse_line(line) for line in text.splitlines() if line]


def find_mount(mounts: list[Mount], directory: PurePosixPath) -> Mount | None:
    """Return the mount that holds an absolute directory without symbolic links, or None."""
    holding = [mount for mount in mounts if directory.is_relative_to(mount.point)]
    return max(enumerate(holding), key=lambda item: (len(item[1].point), item[0]))[1] if holding else None


def read_mounts() -> list[Mount]:
    """Return this process' mount table."""
    return parse_mountinfo(Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape"))


def _parse_line(line: str) -> Mount:
    fields, _, tail = line.partition(" - ")
    _, _, _, root, point, options, *_ = fields.split(" ")
    filesystem, _, super_options = tail.split(" ", 2)
    read_only = "ro" in options.split(",") or "ro" in super_options.split(",")
    return Mount(_unescape(root), _unescape(point), filesystem, read_only)


def _unescape(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
