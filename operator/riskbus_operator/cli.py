"""The command `riskbus-operator`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from riskbus_operator.api import crds
from riskbus_operator.api.errors import OperatorError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; errors become one line on standard error."""
    arguments = build_parser().parse_args(argv)
    try:
        return int(arguments.run(arguments) or 0)
    except (OperatorError, OSError) as error:
        print(f"riskbus-operator: {error}", file=sys.stderr)
        return 1


def build_parser() -> argparse.ArgumentParser:
    """The command line: every command sets `run`, the function that does it."""
    parser = argparse.ArgumentParser(prog="riskbus-operator", description="Durable storage for risk audit logs.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    command = commands.add_parser("crds", help="print the CustomResourceDefinitions as YAML, or write them")
    command.add_argument(
        "--write", metavar="DIRECTORY", type=Path, nargs="+", help="write one file for each into these directories"
    )
    command.set_defaults(run=_crds)
    return parser


def _crds(arguments: argparse.Namespace) -> None:
    files = crds.files()
    if not arguments.write:
        print("---\n".join(files.values()), end="")
        return
    for directory in arguments.write:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (directory / name).write_text(text)
