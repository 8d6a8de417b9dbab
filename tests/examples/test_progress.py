"""What a user sees of a step that takes long."""

import re
import threading

import pytest

from tests.cluster.local.output import step


def test_a_long_step_says_now_and_then_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """The first build takes minutes: silence looks like a program that hangs."""
    asked = threading.Event()

    def so_far() -> str:
        asked.set()
        return ": 3 of 4"

    with step("built the ship", so_far=so_far, every=0.01):
        assert asked.wait(60)

    said = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r" +0 s  \.\.\. not yet built the ship: 3 of 4", said[0])
    assert re.fullmatch(r" +[0-9.]+ s  built the ship", said[-1])


def test_a_step_that_fails_is_not_said_to_be_done(capsys: pytest.CaptureFixture[str]) -> None:
    """The error is the last word."""
    with pytest.raises(OSError, match="no wood"), step("built the ship"):
        raise OSError("no wood")

    assert capsys.readouterr().out == ""
