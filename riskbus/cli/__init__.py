"""The command `riskbus`: parsing arguments and saying results. The work itself is done by the layers below."""

import os
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from riskbus import native
from riskbus.cli import doctor, ingest, tail, verify
from riskbus.errors import RiskBusError

EXIT_USAGE = 64  # EX_USAGE of sysexits.h
EXIT_IO = 74  # EX_IOERR
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells say it
EXIT_PIPE = 141  # 128 + SIGPIPE, the same

COMMANDS = {"doctor": doctor, "verify": verify, "tail": tail, "ingest": ingest}


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: {message}; `{self.prog} --help` has examples\n")


def make_parser() -> ArgumentParser:
    """Return the parser of the whole command line."""
    parser = _Parser(
        prog="riskbus",
        description="Audit evidence for trading systems: look after an audit log and prove what it holds.",
        epilog="examples:\n"
        "  riskbus doctor                                  is this pod fit to keep an audit log?\n"
        "  riskbus tail -f                                 what happens now?\n"
        "  riskbus verify /var/log/intraday-jules          is the log complete and unaltered?\n"
        "  riskbus verify /audit --anchor pod-output.txt   and is it what the pod said at the time?\n"
        "  riskbus ingest /audit pod-output.txt            put back what went to standard output in an emergency\n"
        "\n"
        "`riskbus COMMAND --help` says more about each, with examples. Each has --json for machines.\n"
        "\n"
        "exit codes:\n"
        "  0    all is well\n"
        "  1-4  what a command found; its own help says what they mean\n"
        "  64   wrong usage, or a setting is wrong\n"
        "  74   something could not be read or written\n"
        "  130  interrupted\n"
        "  141  the reader of the output went away",
        formatter_class=RawDescriptionHelpFormatter,
    )
    form = "compiled" if native.hot else "not compiled"
    parser.add_argument("--version", action="version", version=f"riskbus {version('riskbus')} ({form})")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS.values():
        command.add_to(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; `arguments` are those of the process where none are given."""
    _open_what_is_closed()
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        return EXIT_PIPE
    except KeyboardInterrupt:
        return _say(EXIT_INTERRUPTED, "interrupted")
    except OSError as error:
        _discard_output()
        return _say(EXIT_IO, f"the result cannot be written: {error.strerror}")
    return code


def _run(arguments: Sequence[str] | None) -> int:
    try:
        options = make_parser().parse_args(arguments)
        return int(options.run(options))
    except RiskBusError as error:
        return _say(EXIT_USAGE, str(error))
    except BrokenPipeError:
        raise
    except OSError as error:
        return _say(EXIT_IO, f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")


def _open_what_is_closed() -> None:
    """Give a process that was started without standard output or error one that leads nowhere."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 -- lives as long as the process
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 -- lives as long as the process


def _discard_output() -> None:
    """Let what is buffered lead nowhere, else the interpreter's end would fail on it once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError, ValueError):
        os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _say(code: int, message: str) -> int:
    with suppress(OSError):
        sys.stderr.write(f"riskbus: {message}\n")
    return code
