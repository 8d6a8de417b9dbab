"""A short soak; `make soak` runs the long one."""

import subprocess
import sys


def test_handlers_that_misbehave_in_every_way_harm_nobody_else() -> None:
    """Nothing is lost, repeated, reordered or stuck, and nothing stays behind, while everything goes wrong at once.

    What is late, and who is slow, is a matter of figures, which come from `make soak`: here the limits only tell a
    hang, on a machine that may have much else to do.
    """
    limits = ["--seconds", "26", "--late-seconds", "30", "--slow-seconds", "30"]
    command = [sys.executable, "-W", "ignore", "-m", "tests.event_bus.soak", *limits]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "PASSED" in done.stdout
