"""A short soak; `make soak` runs the long one."""

import subprocess
import sys


def test_handlers_that_misbehave_in_every_way_harm_nobody_else() -> None:
    """Nothing is lost, repeated, reordered or stuck, and nothing stays behind, while everything goes wrong at once.

    What is late is a matter of figures, which come from `make soak`: here the limit only tells a hang.
    """
    command = [sys.executable, "-W", "ignore", "-m", "tests.event_bus.soak", "--seconds", "26", "--late-seconds", "20"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "PASSED" in done.stdout
