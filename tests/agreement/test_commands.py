"""Both verifiers as commands: same arguments, same exit codes, same document, and one sentence for what goes wrong."""

import ast
import gzip
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.agreement.conftest import comparable
from tests.agreement.corpus_torn import torn_and_recovered
from tests.agreement.scribe import Scribe, finished

PROGRAM = Path(__file__).parents[2] / "tools" / "verify_audit.py"
COMMANDS = {
    "riskbus verify": [sys.executable, "-m", "riskbus", "verify"],
    "verify_audit.py": [sys.executable, "-I", "-S", str(PROGRAM)],  # no packages, no environment
}

OTHERS: dict[str, Callable[[Path, Path], object]] = {
    "link": lambda segment, intact: segment.symlink_to(intact),
    "link-to-nothing": lambda segment, _: segment.symlink_to("nothing"),
    "directory": lambda segment, _: segment.mkdir(),
    "fifo": lambda segment, _: os.mkfifo(segment),
    "socket": lambda segment, _: os.mknod(segment, stat.S_IFSOCK),
}
"""Makes something of a segment's name that is none; the second path is that of an intact copy."""

LATER = {
    "bit_count",
    "pairwise",
    "batched",
    "aiter",
    "anext",
    "strict",
    "slots",
    "kw_only",
    "ExceptionGroup",
    "TaskGroup",
}
"""Names of what came with Python 3.10 or later, of those that a linter for a newer Python proposes or people like."""

Ended = subprocess.CompletedProcess[str]
Run = Callable[..., Ended]


@pytest.fixture(params=list(COMMANDS.values()), ids=list(COMMANDS))
def run(request: pytest.FixtureRequest) -> Run:
    """Run one of the two as a process of its own."""

    def verify(*arguments: object, before: Sequence[str] = ()) -> Ended:
        command = [*before, *request.param, *map(str, arguments)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert "Traceback" not in ended.stderr
        return ended

    return verify


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A small log that ended in order."""
    directory = tmp_path / "log"
    directory.mkdir()
    scribe = finished()
    (directory / scribe.name(0, 0)).write_bytes(b"".join(scribe.lines))
    return directory


def test_the_second_verifier_needs_nothing_but_a_python_of_2020() -> None:
    """Auditors have what they have: the syntax of 3.9, and modules of the standard library."""
    tree = ast.parse(PROGRAM.read_text(), feature_version=(3, 9))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {str(node.arg) for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    assert not used & LATER


def test_they_write_the_same_document(log: Path) -> None:
    """Byte by byte it may differ; what it says does not."""
    documents = []
    for command in COMMANDS.values():
        ended = subprocess.run([*command, str(log), "--json"], capture_output=True, check=True)
        documents.append(comparable(json.loads(ended.stdout)))
    assert documents[0] == documents[1]
    assert documents[0]["conclusion"] == "Nothing is wrong."


def test_half_a_line_that_was_recovered_is_noted_and_nothing_is_wrong(run: Run, tmp_path: Path) -> None:
    """People read it too: the question of integrity has a good answer, and a note says what the half line is."""
    torn_and_recovered().write(tmp_path)
    ended = run(tmp_path)
    assert ended.returncode == 0
    assert re.search(r"^ *note, torn-recovered: the last line is ", ended.stdout, re.MULTILINE)
    assert re.search(r"^ *integrity: +(intact|fine)", ended.stdout, re.MULTILINE)
    assert "Nothing is wrong." in ended.stdout


def test_a_log_over_two_directories(run: Run, tmp_path: Path) -> None:
    """Each alone is not the log."""
    (first, head), (second, tail) = finished().files(4).items()
    for name, content, directory in ((first, head, tmp_path / "a"), (second, tail, tmp_path / "b")):
        directory.mkdir()
        (directory / name).write_bytes(content)
    assert run(tmp_path / "a", tmp_path / "b").returncode == 0
    assert run(tmp_path / "b", tmp_path / "a").returncode == 0
    assert run(tmp_path / "b").returncode == 1


def test_exit_codes(run: Run, log: Path, tmp_path: Path) -> None:
    """Fine, tampering, damage, cannot decide, and wrong usage; the corpus has declared gaps."""
    scribe = finished()
    segment = log / scribe.name(0, 0)
    (tmp_path / "anchors").write_bytes(scribe.anchors())
    assert run(log, "--anchor", tmp_path / "anchors").returncode == 0
    segment.write_bytes(b"".join(scribe.lines[:2]))
    assert run(log).returncode == 0
    assert run(log, "--anchor", tmp_path / "anchors").returncode == 1
    segment.write_bytes(b"".join(scribe.lines)[:-5])
    assert run(log).returncode == 2
    segment.unlink()
    assert run(log).returncode == 3


@pytest.mark.parametrize(
    "content", [b"", b"hello\n", b"{}", b'AUDIT_CHECKPOINT {"key":"x","note":"y"}\n', b"\xff\xfe\0"]
)
def test_a_file_that_holds_no_anchor(run: Run, log: Path, tmp_path: Path, content: bytes) -> None:
    """The wrong file must not pass for one that confirms."""
    (tmp_path / "anchors").write_bytes(content)
    ended = run(log, "--anchor", tmp_path / "anchors")
    assert ended.returncode == 64
    assert str(tmp_path / "anchors") in ended.stderr


def test_an_anchor_that_another_key_signed(run: Run, log: Path, tmp_path: Path) -> None:
    """Whoever kept it kept something else: it accuses nobody."""
    scribe, other = finished(), Scribe(seed="other")
    line = json.dumps({"key": scribe.key, "note": other.sign(2, scribe.root(2))})
    (tmp_path / "anchors").write_text(f"AUDIT_CHECKPOINT {line}\n")
    assert run(log, "--anchor", tmp_path / "anchors").returncode == 64


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [""],
        [".", ""],
        ["/nonexistent"],
        [__file__],
        [".", "--anchor", "/nonexistent"],
        [".", "--anchor", ""],
        ["--wrong"],
    ],
)
def test_wrong_usage(run: Run, arguments: list[str]) -> None:
    """Exit code 64, and what was wrong."""
    ended = run(*arguments)
    assert ended.returncode == 64
    assert ended.stderr


@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv, for root to lose the right to read everything")
def test_what_may_not_be_read_is_said(run: Run, log: Path) -> None:
    """An auditor without the right to a file must not take its absence for tampering."""
    (first, head), (second, tail) = finished().files(4).items()
    (log / second).write_bytes(tail)
    (log / first).write_bytes(head)
    (log / first).chmod(0)
    ended = run(log, "--json", before=[] if os.geteuid() else ["setpriv", "--bounding-set", "-all"])
    assert ended.returncode == 3
    (stream,) = json.loads(ended.stdout)["streams"]
    severities = {finding["kind"]: finding["severity"] for finding in stream["findings"]}
    assert severities["unreadable"] == severities["missing"] == "undecided"


@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv, for root to lose the right to read everything")
def test_a_directory_that_may_not_be_read_hides_no_tampering_beside_it(run: Run, log: Path) -> None:
    """Whoever alters a log can make a directory that the auditor may not open."""
    (segment,) = log.iterdir()
    segment.write_bytes(segment.read_bytes().replace(b"LIMIT_BREACH", b"LIMIT_BREACK"))
    (log / "private").mkdir(mode=0)
    ended = run(log, "--json", before=[] if os.geteuid() else ["setpriv", "--bounding-set", "-all"])
    assert ended.returncode == 1
    (stray,) = json.loads(ended.stdout)["strays"]
    assert (stray["kind"], stray["severity"], stray["file"]) == ("unreadable", "undecided", str(log / "private"))


def test_directories_as_deep_as_a_path_reaches_and_deeper(run: Run, log: Path) -> None:
    """Deeper than a program may call itself, and where no path is long enough to name them any more."""
    try:
        parent = os.open(log, os.O_RDONLY)
        for _ in range(2500):
            os.mkdir("d", dir_fd=parent)
            child = os.open("d", os.O_RDONLY, dir_fd=parent)
            os.close(parent)
            parent = child
        os.close(parent)
        ended = run(log, "--json")
    finally:
        subprocess.run(["rm", "-rf", log / "d"], check=True)  # the tests' own way to remove it calls itself
    assert ended.returncode == 3
    (stray,) = json.loads(ended.stdout)["strays"]
    assert stray["kind"] == "unreadable"


def test_loops_of_symbolic_links_and_links_named_like_segments(run: Run, log: Path, tmp_path: Path) -> None:
    """Links are not followed."""
    (log / "loop").symlink_to(log)
    (log / "itself").symlink_to("itself")
    (log / Scribe(7).name(0, 0)).symlink_to("/dev/zero")
    assert run(log).returncode == 0
    (tmp_path / "link").symlink_to(log)
    assert run(tmp_path / "link").returncode == 0


@pytest.mark.parametrize("pretend", OTHERS.values(), ids=OTHERS)
def test_what_is_no_regular_file_hides_no_compressed_segment(
    run: Run, log: Path, tmp_path: Path, pretend: Callable[[Path, Path], object]
) -> None:
    """A link to an intact copy would stand for the altered segment beside it, and a FIFO keep whoever opens it."""
    (segment,) = log.iterdir()
    intact = tmp_path / "intact"
    content = segment.read_bytes()
    intact.write_bytes(content)
    segment.with_name(segment.name + ".gz").write_bytes(
        gzip.compress(content.replace(b"LIMIT_BREACH", b"LIMIT_BREACK"))
    )
    segment.unlink()
    assert run(log).returncode == 1
    pretend(segment, intact)
    assert run(log).returncode == 1


def test_a_name_with_a_number_that_no_record_has(run: Run, log: Path) -> None:
    """Names are anybody's; numbers have at most 19 digits."""
    for number in ("9" * 40, "18446744073709551616"):
        (log / f"risk_audit-{finished().incarnation}-000001-{number}.jsonl").write_bytes(b"garbage\n")
    assert run(log, "--json").returncode == 0


def test_a_name_that_is_not_utf_8(run: Run, log: Path) -> None:
    """File systems take any bytes."""
    name = finished().name(0, 0)
    os.rename(os.fsencode(log / name), os.fsencode(log) + b"/\xff" + name.encode())  # noqa: PTH104 -- not a text
    for options in ([], ["--json"]):
        ended = run(log, *options)
        assert ended.returncode == 0
        assert "\\udcff" in ended.stdout or "\\\\udcff" in ended.stdout


def test_what_is_unproven_is_said(log: Path) -> None:
    """Nobody may read more into the result than it says."""
    scribe = Scribe().open().checkpoint().events(3)
    (log / scribe.name(0, 0)).write_bytes(b"".join(scribe.lines))
    ended = subprocess.run([*COMMANDS["riskbus verify"], str(log)], capture_output=True, text=True, check=True)
    assert "has no AUDIT_CLOSE: it lives, or its process was ended" in ended.stdout
    assert scribe.key.rpartition("+")[2] in ended.stdout
    assert "not proven:    that 3 records are the writer's" in ended.stdout
    assert "not proven:    whose keys signed, and that nothing is cut off at the end" in ended.stdout
