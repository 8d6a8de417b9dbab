"""`python -m examples.demo up|down`, called by `make demo` and `make demo-down`."""

from __future__ import annotations

import argparse
import os
import sys
import time

from examples.demo import chapters, target
from examples.demo.terminal import DemoError


def main() -> int:
    """Run the demonstration or end it; 0 if all of it was shown."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("what", choices=["up", "down"], help="show everything, or end it and leave nothing behind")
    began = time.monotonic()
    try:
        if parser.parse_args().what == "down":
            end()
        else:
            chapters.tell(target.given() if os.environ.get("KUBECONFIG") else target.local())
            print(f"\nAll of it in {time.monotonic() - began:.0f} s.")
    except (DemoError, OSError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; `make demo` goes on from here, `make demo-down` ends it.", file=sys.stderr)
        return 130
    return 0


def end() -> None:
    """Take the demonstration away: the local cluster whole, or from the user's own only what it put there."""
    if os.environ.get("KUBECONFIG"):
        chapters.withdraw(target.given(to_end=True))
    else:
        target.local_cluster("down")


if __name__ == "__main__":
    sys.exit(main())
