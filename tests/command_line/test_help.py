"""The help teaches: examples that work, exit codes, and what to do after a mistake."""

import re
import shlex
import subprocess
from collections.abc import Callable
from importlib.metadata import version

import pytest

from riskbus import native
from riskbus.cli import COMMANDS, make_parser

Riskbus = Callable[..., subprocess.CompletedProcess[str]]


def help_of(riskbus: Riskbus, *command: str) -> str:
    """Return the help of a command, as a terminal of 200 columns shows it."""
    ended = riskbus(*command, "--help", environment={"COLUMNS": "200"})
    assert ended.returncode == 0
    return ended.stdout


def examples(text: str) -> list[list[str]]:
    """Return the arguments of every example in a help text."""
    found = re.findall(r"^  (?:.*[|] |kubectl exec .* -- )?riskbus (.*)$", text, re.MULTILINE)
    return [shlex.split(re.split(r" {2,}", line)[0]) for line in found]


def test_the_help_shows_an_example_of_every_command_and_the_exit_codes(riskbus: Riskbus) -> None:
    """One screen is enough to begin."""
    text = help_of(riskbus)
    assert {arguments[0] for arguments in examples(text)} == set(COMMANDS)
    for code in ("0", "64", "74", "130", "141"):
        assert re.search(rf"^  {code} ", text, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_examples_and_exit_codes(riskbus: Riskbus, command: str) -> None:
    """They are a contract, and stand where people look."""
    text = help_of(riskbus, command)
    assert len([arguments for arguments in examples(text) if arguments[0] == command]) > 1
    assert re.search(r"exit codes:\n  0 ", text)
    assert "  64 " in text
    assert "--json" in text


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_the_examples_are_understood(riskbus: Riskbus, command: str) -> None:
    """An example that is refused is worse than none."""
    found = examples(help_of(riskbus, *command.split()))
    assert found
    for arguments in found:
        assert make_parser().parse_args(arguments).run


@pytest.mark.skipif(native.hot is None, reason="riskbus is not compiled here")
def test_the_version(riskbus: Riskbus) -> None:
    """For bug reports, and for auditors; with what runs, since there are two forms of the hottest paths."""
    assert riskbus("--version").stdout == f"riskbus {version('riskbus')} (compiled)\n"


def test_the_version_where_the_compiled_paths_are_off(riskbus: Riskbus) -> None:
    """The variable is followed, and anyone can see it."""
    ended = riskbus("--version", environment={"RISKBUS_NATIVE": "0"})
    assert ended.stdout == f"riskbus {version('riskbus')} (not compiled)\n"


@pytest.mark.parametrize(
    "arguments", [[], ["vrfy"], ["verify"], ["ingest"], ["doctor", "--pth", "x"], ["tail", "-n"], ["tail", "--jsn"]]
)
def test_a_mistake_says_where_the_examples_are(riskbus: Riskbus, arguments: list[str]) -> None:
    """Exit code 64, the usage, what is wrong, and what to do."""
    ended = riskbus(*arguments)
    assert ended.returncode == 64
    assert ended.stderr.startswith("usage: riskbus")
    assert "--help` has examples" in ended.stderr
    assert ended.stdout == ""
