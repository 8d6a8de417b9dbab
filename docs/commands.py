"""What the page of the command line takes from the commands themselves."""  # noqa: INP001 - beside the pages

from argparse import Action, ArgumentParser
from collections.abc import Iterator

from riskbus.cli import make_parser


def commands() -> str:
    """Every command with its description, its arguments, its examples and its exit codes."""
    return "\n".join(_describe(name, parser) for name, parser in _commands(make_parser()))


def _commands(parser: ArgumentParser) -> Iterator[tuple[str, ArgumentParser]]:
    for action in parser._actions:  # noqa: SLF001 -- argparse has no other way to ask
        if isinstance(action.choices, dict):
            yield from action.choices.items()


def _describe(name: str, parser: ArgumentParser) -> str:
    rows = [_row(action) for action in parser._actions if action.dest != "help"]  # noqa: SLF001 -- as above
    table = ["| argument | what it does |", "|---|---|", *rows]
    parts = [f"## riskbus {name}", parser.description or "", "\n".join(table), f"```text\n{parser.epilog}\n```"]
    return "\n\n".join(parts) + "\n"


def _row(action: Action) -> str:
    names = ", ".join(action.option_strings)
    value = "" if action.nargs == 0 else action.metavar or action.dest.upper()
    return f"| `{f'{names} {value}'.strip()}` | {action.help} |"
