"""The command `riskbus`: parsing arguments and saying results. The work itself is done by the layers below."""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from riskbus.cli import doctor, verify
from riskbus.errors import RiskBusError

EXIT_USAGE = 64  # EX_USAGE of sysexits.h


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; `arguments` are those of the process where none are given."""
    parser = _Parser(
        prog="riskbus",
        description="Audit evidence for trading systems: look after an audit log and prove what it holds.",
        epilog="examples:\n"
        "  riskbus doctor                                  is this pod fit to keep an audit log?\n"
        "  riskbus verify /var/log/intraday-jules          is the log complete and unaltered?\n"
        "  riskbus verify /audit --anchor pod-output.txt   and is it what the pod said at the time?",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"riskbus {version('riskbus')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (doctor, verify):
        command.add_to(commands)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except RiskBusError as error:
        sys.stderr.write(f"riskbus: {error}\n")
        return EXIT_USAGE
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("riskbus: interrupted\n")
        return 130
