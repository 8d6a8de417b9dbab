"""A crash after every system call: the volume as the device has it at that moment, mounted and verified."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from riskbus.store.verification import verify_tree
from tests.faults import reading
from tests.faults.interposer import CHANGING, Interposer
from tests.faults.short_lives import EVENTS
from tests.faults.volumes import mount, sh

if TYPE_CHECKING:
    from tests.faults.volumes import Volume


def _durable_so_far(results: int) -> int:
    """Return how many events the newest line that is there calls durable."""
    try:
        lines = os.read(results, 1 << 16).splitlines()
    except BlockingIOError:
        return 0
    return len(json.loads(lines[-1])["durable"])


def _take_images(volume: "Volume", interposer: Interposer, folder: Path) -> Iterator[tuple[Path, int]]:
    """Let a log live on the volume; yield its image after every changing call, and how much was durable by then."""
    results, sink = os.pipe()
    os.set_blocking(results, False)
    interposer.stop_every(CHANGING, 1)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.short_lives", str(sink)],
        pass_fds=[sink],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=interposer.environment,
        text=True,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(f"{volume.path / 'audit' / 'risk_audit.jsonl'}\n")
        process.stdin.close()
        durable = 0
        for number, _ in enumerate(interposer.stops(process)):
            image = folder / f"crash-{number}"
            sh("cp", "--sparse=always", volume.image, image)
            durable = max(durable, _durable_so_far(results))
            yield image, durable
    os.close(sink)
    os.close(results)
    assert process.returncode == 0


@pytest.mark.timeout(1800)
def test_at_every_moment_what_was_durable_is_on_the_device(
    make_volume: "Callable[..., Volume]", shared_memory: Path, tmp_path: Path, say: Callable[[str], None]
) -> None:
    """The program stands still while its volume is copied, so each image is one moment of the device."""
    volume = make_volume(16, shared_memory)
    volume.remount("commit=600")  # the kernel's own commits would come in between
    interposer = Interposer(tmp_path, volume.path / "audit")
    images = list(_take_images(volume, interposer, shared_memory))
    assert images[-1][1] > EVENTS // 2
    say(f"{len(images)} images of {interposer.seen} system calls")
    crashed = tmp_path / "crashed"
    for image, durable in images:
        mount(image, crashed)
        try:
            there = reading.numbers(crashed / "audit") if (crashed / "audit").exists() else []
            assert there == list(range(len(there)))
            assert len(there) >= durable, image
            kinds = {finding.kind for finding in verify_tree(crashed, [], lambda _: None).findings}
            assert kinds <= {"torn", "unsealed"}, image
        finally:
            sh("umount", crashed)
