"""The command line of the local cluster."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.cluster.local import lifecycle, versions
from tests.cluster.local.build import build, kubernetes_module
from tests.cluster.local.build_image import build_and_load
from tests.cluster.local.errors import LocalClusterError
from tests.cluster.local.paths import DEFAULT_DIRECTORY, ClusterDirectory


def main() -> int:
    """Run one command; 0 when it did what it says, 1 with one sentence on standard error when not."""
    arguments = _parser().parse_args()
    try:
        return int(arguments.run(arguments) or 0)
    except (LocalClusterError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.local", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("up", _up, "make sure that a healthy cluster runs"),
        ("down", _down, "end it and leave nothing behind"),
        ("status", _status, "say how it is; 1 if it is not healthy"),
        ("load", _load, "import an image archive into its node"),
        ("build-image", _build_image, "build a target of the project's Dockerfile and load it into its node"),
        ("build", _build, "build its programs into the cache, and start nothing"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        command.add_argument("--k8s", default=os.environ.get("K8S") or versions.DEFAULT, help="1.36 or 1.31 [env K8S]")
        command.add_argument("--dir", type=Path, default=DEFAULT_DIRECTORY, help="the cluster's directory")
        if name == "up":
            command.add_argument("--namespace", default="default", help="current namespace of the kubeconfig")
        if name == "build-image":
            command.add_argument("--target", required=True, help="target of the Dockerfile: operator or example")
            command.add_argument(
                "--tag", required=True, help="name of the image, for example localhost/riskbus-operator:dev"
            )
        if name == "load":
            command.add_argument("image", type=Path, help="OCI or docker archive")
    return parser


def _directory(arguments: argparse.Namespace) -> ClusterDirectory:
    return ClusterDirectory(arguments.dir.resolve())


def _up(arguments: argparse.Namespace) -> None:
    lifecycle.up(_directory(arguments), versions.kubernetes(arguments.k8s), namespace=arguments.namespace)


def _down(arguments: argparse.Namespace) -> None:
    lifecycle.down(_directory(arguments))


def _status(arguments: argparse.Namespace) -> bool:
    status = lifecycle.status(_directory(arguments))
    print(*status.lines, sep="\n")
    return not status.healthy


def _load(arguments: argparse.Namespace) -> None:
    lifecycle.load(_directory(arguments), arguments.image)


def _build_image(arguments: argparse.Namespace) -> None:
    build_and_load(_directory(arguments), target=arguments.target, tag=arguments.tag)


def _build(arguments: argparse.Namespace) -> None:
    print(build(kubernetes_module(versions.kubernetes(arguments.k8s))))


if __name__ == "__main__":
    sys.exit(main())
