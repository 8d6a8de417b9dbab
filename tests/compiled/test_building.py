"""Where riskbus can be compiled it is; where it cannot, it is installed all the same.

A build that failed for want of a compiler would keep riskbus out of slim images, and one that quietly left the compiled
form out where it could be had would make everything slower, untested.
"""

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

import hatch_build
from riskbus import native

REPOSITORY = Path(__file__).parents[2]
COMPILED = f"riskbus/native/hot{hatch_build.SUFFIX}"
obstacle = hatch_build.obstacle()
can_be_compiled = pytest.mark.skipif(bool(obstacle), reason=f"riskbus cannot be compiled here: {obstacle}")


def build(target: str, folder: Path, **environment: str) -> tuple[Path, str]:
    """Build the project into an empty folder; return what came out, and what was said."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    environ = os.environ | environment
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environ, check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.iterdir()
    return built, done.stderr


def native_files(wheel: Path) -> set[str]:
    """Return what a wheel has of the compiled package."""
    with ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if name.startswith("riskbus/native/")}


@can_be_compiled
def test_it_is_compiled_where_these_tests_run() -> None:
    """Or they would test the form in Python only, and nobody would notice."""
    assert native.hot or os.environ.get(native.VARIABLE) == "0", native.why_not


@can_be_compiled
def test_a_wheel_has_the_compiled_module_and_is_for_this_python(tmp_path: Path) -> None:
    """An installer must not take it for another Python or processor; the sources have no use there."""
    wheel, said = build("wheel", tmp_path)
    assert native_files(wheel) == {"riskbus/native/__init__.py", COMPILED}
    version = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert wheel.name.split("-")[2:4] == [version, version]
    assert wheel.name.split("-")[4].startswith(("linux_", "manylinux"))
    assert "goes without" not in said


@can_be_compiled
def test_compiling_warns_of_nothing(tmp_path: Path) -> None:
    """A compiler's warning is read by nobody once the build went through."""
    assert "warning:" not in build("wheel", tmp_path)[1]


@pytest.mark.parametrize(
    ("compiler", "reason"), [("no-such-compiler", "there is no C compiler"), ("false", "see above")]
)
def test_without_a_compiler_that_works_the_wheel_is_for_every_python(
    tmp_path: Path, compiler: str, reason: str
) -> None:
    """It says in one line what it goes without, and why, and is made."""
    wheel, said = build("wheel", tmp_path, CC=compiler)
    assert native_files(wheel) == {"riskbus/native/__init__.py"}
    assert wheel.name.endswith("-py3-none-any.whl")
    if not obstacle:
        (line,) = [line for line in said.splitlines() if "goes without" in line]
        assert reason in line


def test_a_source_distribution_can_be_compiled_elsewhere(tmp_path: Path) -> None:
    """It has the sources and what compiles them, and nothing that was compiled here."""
    sdist, _ = build("sdist", tmp_path)
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    sources = {str(path.relative_to(REPOSITORY)) for path in REPOSITORY.glob("riskbus/native/*.[ch]")}
    assert len(sources) > 1
    assert names >= sources | {"hatch_build.py", "pyproject.toml"}
    assert not [name for name in names if name.endswith(".so")]
