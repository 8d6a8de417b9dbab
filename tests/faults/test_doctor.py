"""`riskbus doctor` on real volumes that are fine, full, out of inodes, read-only."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

MakeVolume = Callable[..., Any]
USER = 1234

# As another user, after the imports, so that nobody else needs to read the interpreter and the checkout.
PROGRAM = """
import os, sys
from riskbus.cli import main
os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def own_volume(make_volume: MakeVolume) -> Iterator[MakeVolume]:
    """Make an ext4 that this user owns, and mount it where this user can reach it: pytest's directories are root's."""
    with TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)

        def make(megabytes: int, **options: Any) -> Any:
            volume = make_volume(megabytes, **options)
            os.chown(volume.path, USER, USER)
            subprocess.run(["mount", "--bind", volume.path, place], check=True)
            return dataclasses.replace(volume, path=place)

        yield make
        subprocess.run(["umount", "-l", place], check=True)


def examine(directory: Path, *, prefix: tuple[str, ...] = ()) -> tuple[int, dict[str, str]]:
    """Return the exit code and the results by name, as a user without privileges and without a token."""
    program = [*prefix, sys.executable, "-c", PROGRAM, str(USER)]
    command = [*program, "doctor", "--json", "--path", str(directory / "risk_audit.jsonl")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RISK")}
    ended = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert ended.stderr == b""
    return ended.returncode, {check["name"]: check["result"] for check in json.loads(ended.stdout)["checks"]}


def test_a_good_volume_is_fit(own_volume: MakeVolume) -> None:
    """As any user that may write there."""
    volume = own_volume(400)
    code, results = examine(volume.path)
    assert code == 0
    assert {results[name] for name in ("mount", "permission", "space", "inodes")} == {"OK"}
    assert [file.name for file in volume.path.iterdir()] == ["lost+found"]


def test_a_root_file_system_that_is_read_only_is_no_obstacle(own_volume: MakeVolume) -> None:
    """Hardened pods have `readOnlyRootFilesystem: true`."""
    volume = own_volume(400)
    read_only = ("unshare", "--mount", "sh", "-c", 'mount -o remount,bind,ro / && exec "$@"', "sh")
    code, results = examine(volume.path, prefix=read_only)
    assert code == 0
    assert results["permission"] == "OK"


def test_a_volume_that_belongs_to_someone_else_is_not_fit(own_volume: MakeVolume) -> None:
    """The claim is there, and fsGroup was forgotten."""
    volume = own_volume(16)
    os.chown(volume.path, 0, 0)
    code, results = examine(volume.path)
    assert code == 1
    assert results["permission"] == "FAIL"


def test_a_full_volume_is_not_fit(own_volume: MakeVolume) -> None:
    """Nothing could be recorded."""
    volume = own_volume(16)
    volume.fill()
    code, results = examine(volume.path)
    assert code == 1
    assert (results["permission"], results["space"]) == ("FAIL", "FAIL")


def test_a_volume_smaller_than_one_segment_is_pointed_out(own_volume: MakeVolume) -> None:
    """It works until it does not."""
    volume = own_volume(16)
    code, results = examine(volume.path)
    assert code == 0
    assert results["space"] == "WARN"


def test_a_volume_without_inodes_is_pointed_out(own_volume: MakeVolume) -> None:
    """Each segment is a file."""
    volume = own_volume(16, options=("-N", "32"))
    assert examine(volume.path)[1]["inodes"] == "WARN"


def test_a_volume_that_the_kernel_made_read_only_is_not_fit(own_volume: MakeVolume) -> None:
    """Only a restart on a repaired volume helps."""
    volume = own_volume(16)
    volume.break_down()
    code, results = examine(volume.path)
    assert code == 1
    assert (results["mount"], results["permission"]) == ("FAIL", "FAIL")
