"""Real small file systems that a test may fill, freeze, break and cut off from their power."""

import os
import re
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path

TOOLS = ("mkfs.ext4", "mkfs.btrfs", "filefrag", "mount", "umount", "fallocate", "fsfreeze", "cc")
BLOCK = 4096
_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN of Linux, fs/ext4/ext4.h
_NO_LOG_FLUSH = 2  # not even the journal's buffers reach the device


def sh(*command: object) -> None:
    """Run a command; it must succeed."""
    output(*command)


def output(*command: object) -> str:
    """Run a command, which must succeed, and return what it says."""
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{command}: {ended.stderr}"
    return ended.stdout


@dataclass(frozen=True)
class Volume:
    """A mounted ext4 in a file.

    Attributes:
        path: where it is mounted.
        image: the file that holds it.
    """

    path: Path
    image: Path

    def remount(self, *options: str) -> None:
        """Unmount and mount again, so that only what is on the device is left."""
        sh("umount", self.path)
        while output("losetup", "--associated", self.image):
            pass  # a container that starts at this moment has a copy of every mount; with that, the old one would go on
        mount(self.image, self.path, *options)

    def fill(self) -> Path:
        """Leave no byte free; returns the file to remove."""
        return fill(self.path)

    def use_up_inodes(self) -> Path:
        """Leave no file free to be made; returns the directory to remove."""
        hoard = self.path / "hoard"
        hoard.mkdir()
        try:
            for number in range(1 << 20):
                (hoard / str(number)).touch()
        except OSError:
            pass
        return hoard

    def fill_backing(self) -> Path:
        """Leave no byte free where the image is, so that the device fails; returns the file to remove."""
        return fill(self.image.parent)

    def hollow_out(self) -> None:
        """Take away what backs the free space, while journal and metadata keep theirs."""
        hog = self.fill()
        sh("sync", "-f", self.path)
        listing = output("filefrag", "-e", hog)
        hog.unlink()
        sh("umount", self.path)
        for first, last in re.findall(r":\s+(\d+)\.\.\s*(\d+):\s+\d+:", listing):
            start, end = int(first) * BLOCK, (int(last) + 1) * BLOCK
            sh("fallocate", "--punch-hole", "--offset", start, "--length", end - start, self.image)
        mount(self.image, self.path)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let everything that touches the volume hang in the kernel meanwhile."""
        sh("fsfreeze", "-f", self.path)
        try:
            yield
        finally:
            sh("fsfreeze", "-u", self.path)

    def break_down(self) -> None:
        """Let the kernel find an error and refuse every further write, as it does on a broken device."""
        device = self.path.stat().st_dev
        name = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
        Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("broken by a test")

    def cut_power(self) -> None:
        """Let nothing more reach the device, also not what the kernel still holds; `remount` shows what is left."""
        root = os.open(self.path, os.O_RDONLY)
        try:
            ioctl(root, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(root)


def fill(directory: Path) -> Path:
    """Write until nothing more fits; returns the file to remove."""
    ballast = directory / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for block in (1 << 20, BLOCK):
            try:
                while file.write(bytes(block)) == block:
                    pass
            except OSError:
                pass
    return ballast


def make_image(image: Path, megabytes: int, *options: str) -> None:
    """Make an ext4 of so many MiB in a file whose blocks are all there."""
    sh("truncate", "--size", megabytes << 20, image)
    sh("mkfs.ext4", "-q", "-F", "-b", BLOCK, "-m", 0, "-E", "nodiscard", *options, image)
    sh("fallocate", "--length", megabytes << 20, image)  # mkfs makes holes where it wants zeros, also in the journal


def mount(image: Path, path: Path, *options: str) -> None:
    """Mount an image; a kernel that finds an error makes it read-only."""
    path.mkdir(exist_ok=True)
    sh("mount", "-o", ",".join(["loop", "errors=remount-ro", *options]), image, path)


@dataclass(frozen=True)
class Quota:
    """A mounted btrfs that refuses with EDQUOT what goes beyond a quota, while statvfs tells of free space.

    Kernels made for containers often have no quotas for ext4; btrfs has its own.

    Attributes:
        path: where it is mounted.
    """

    path: Path

    def allow(self, limit: str) -> None:
        """Set how many bytes may be there, such as 5M; none lifts the quota."""
        sh("btrfs", "qgroup", "limit", limit, self.path)


def mount_quota(image: Path, path: Path) -> Quota:
    """Make and mount a btrfs of the smallest size that there is, with quotas and no limit yet."""
    path.mkdir()
    sh("truncate", "--size", 128 << 20, image)
    sh("mkfs.btrfs", "--quiet", image)
    sh("mount", "-o", "loop", image, path)
    sh("btrfs", "quota", "enable", path)
    return Quota(path)
