"""One line for each step, with its time; a running clock on a terminal while a step takes long."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


class DemoError(Exception):
    """The demonstration cannot go on; the message says in one sentence what to do."""


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Show `title`, a running clock while the body works, and the time that it took."""
    began = time.monotonic()
    done = threading.Event()

    def clock() -> None:
        while not done.wait(1.0):
            print(f"\r… {title} {time.monotonic() - began:.0f} s ", end="", flush=True)

    ticking = threading.Thread(target=clock, daemon=True)
    if sys.stdout.isatty():
        ticking.start()
    mark = "✗"
    try:
        yield
        mark = "✓"
    finally:
        done.set()
        if ticking.ident is not None:
            ticking.join()
            print("\r", end="")
        print(
            f"{mark} {title} ({time.monotonic() - began:.1f} s)\033[K"
            if sys.stdout.isatty()
            else f"{mark} {title} ({time.monotonic() - began:.1f} s)",
            flush=True,
        )


def show(text: str) -> None:
    """Print something to look at, indented under its step."""
    for line in text.rstrip().splitlines():
        print(f"    {line}", flush=True)


def run(
    command: Sequence[str],
    *,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    check: bool = True,
    timeout: float = 300.0,
) -> str:
    """Run a command and return what it printed.

    Raises:
        DemoError: it failed or took longer than `timeout` seconds; with the last lines that it printed.
    """
    try:
        done = subprocess.run(
            command,
            input=stdin,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        raise DemoError(f"{command[0]} is not installed; install it or put it on PATH.") from None
    except subprocess.TimeoutExpired:
        raise DemoError(f"`{' '.join(command)}` did not end within {timeout:.0f} s.") from None
    if check and done.returncode != 0:
        tail = "\n".join(done.stdout.strip().splitlines()[-15:])
        raise DemoError(f"`{' '.join(command)}` failed with exit code {done.returncode}:\n{tail}")
    return done.stdout


def wait_until(what: str, condition: Callable[[], bool], *, timeout: float = 120.0) -> None:
    """Return once `condition` holds.

    Raises:
        DemoError: it did not within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise DemoError(f"Waited {timeout:.0f} s in vain: {what}.")
        time.sleep(0.5)
