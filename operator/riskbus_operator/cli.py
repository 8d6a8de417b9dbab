"""The command `riskbus-operator`."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from riskbus_operator.api import crds
from riskbus_operator.api.errors import OperatorError
from riskbus_operator.api.reference import reference
from riskbus_operator.policy.render import render

_HIGHEST_PORT = 65535
_LONGEST_RESYNC_SECONDS = 3600


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
    command = commands.add_parser("reference", help="print the reference of the API as Markdown, or write it")
    command.add_argument("--write", metavar="FILE", type=Path, help="write it into this file")
    command.set_defaults(run=_reference)
    command = commands.add_parser("render", help="print what the operator would apply for manifests, without a cluster")
    command.add_argument(
        "files", metavar="FILE", type=Path, nargs="+", help="YAML with policies and workloads; - is standard input"
    )
    command.set_defaults(run=_render)
    command = commands.add_parser("run", help="reconcile policies until SIGTERM: what the container runs")
    everywhere = ("0.0.0.0", 8081)  # noqa: S104 - Prometheus and the kubelet come from outside
    command.add_argument(
        "--listen", metavar="HOST:PORT", type=_address, default=everywhere, help="metrics and probes; 0.0.0.0:8081"
    )
    command.add_argument(
        "--resync", metavar="SECONDS", type=_seconds, default=60.0, help="look at idle namespaces again"
    )
    command.add_argument(
        "--lease-namespace",
        metavar="NAMESPACE",
        default=os.environ.get("POD_NAMESPACE", "riskbus-system"),
        help="where the Lease is that lets one operator work at a time [env POD_NAMESPACE]",
    )
    command.add_argument("--log-format", choices=["text", "json"], default="text", help="how log lines look")
    command.set_defaults(run=_run)
    return parser


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, for example 0.0.0.0:8081")
    return host, int(port)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= _LONGEST_RESYNC_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not from 1 to {_LONGEST_RESYNC_SECONDS} seconds, for example 60")
    return seconds


def _run(arguments: argparse.Namespace) -> None:
    from riskbus_operator import app  # noqa: PLC0415 - the Kubernetes client takes seconds, and only this needs it

    app.configure_logging(json=arguments.log_format == "json")
    options = app.Options(listen=arguments.listen, resync=arguments.resync, lease_namespace=arguments.lease_namespace)
    asyncio.run(app.run(options))


def _crds(arguments: argparse.Namespace) -> None:
    files = crds.files()
    if not arguments.write:
        print("---\n".join(files.values()), end="")
        return
    for directory in arguments.write:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (directory / name).write_text(text)


def _reference(arguments: argparse.Namespace) -> None:
    if arguments.write:
        arguments.write.write_text(reference())
    else:
        print(reference(), end="")


def _render(arguments: argparse.Namespace) -> int:
    rendered = render([obj for file in arguments.files for obj in _documents(file)])
    print(yaml.safe_dump_all(rendered.objects, sort_keys=False), end="")
    for refusal in rendered.refusals:
        print(f"riskbus-operator: {refusal}", file=sys.stderr)
    return 1 if rendered.refusals else 0


def _documents(file: Path) -> list[object]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text()
        return [document for document in yaml.safe_load_all(text) if document is not None]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise OperatorError(f"{file} is not YAML: {' '.join(str(error).split())}") from None
