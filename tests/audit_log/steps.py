"""Kills an action at each step of the interpreter, one after the other."""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def killed_at_step(step: int, action: Callable[[], object]) -> bool:
    """Run an action in a child that kills itself at this step of the interpreter; whether it came to that."""
    child = os.fork()
    if child == 0:
        passed = 0

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal passed
            frame.f_trace_opcodes = True
            if event == "opcode":
                passed += 1
                if passed > step:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        status = 1
        try:
            sys.settrace(trace)
            action()
            sys.settrace(None)
            status = 0
        finally:
            os._exit(status)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, -signal.SIGKILL}, "the action raised an exception"
    return code != 0


def interrupted_at_step(step: int, action: Callable[[], object]) -> str:
    """Run an action, and throw a KeyboardInterrupt in at this step; the function that it was in, "" if it had ended."""
    passed, place = 0, ""

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal passed, place
        frame.f_trace_opcodes = True
        if event == "opcode":
            passed += 1
            if passed > step and not place:
                place = frame.f_code.co_name
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    try:
        sys.settrace(trace)
        action()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    return place


def every_step(run: Callable[[int], bool], stride: int = 1) -> int:
    """Run with step 0, and so many more each time, until the action comes to its end; return the last step."""
    step = 0
    while run(step):
        step += stride
    return step
