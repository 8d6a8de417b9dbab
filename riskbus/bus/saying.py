"""What the bus logs, and what it does besides delivering: none of it may raise into a publisher or end a worker."""

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import ParamSpec

_log = logging.getLogger("riskbus.bus")
_FOREIGN = (Exception, SystemExit)
"""What code of others may raise: a handler of `logging`, the text of an exception, an event that somebody changed."""

_Arguments = ParamSpec("_Arguments")


def say(level: int, message: str, *args: object, exc_info: BaseException | bool | None = None) -> None:
    """Log a line, as `logging.Logger.log` does; one that cannot be logged is lost."""
    with suppress(*_FOREIGN):
        _log.log(level, message, *args, exc_info=exc_info, stacklevel=2)


def harmless(function: Callable[_Arguments, None]) -> Callable[_Arguments, None]:
    """Return it as one that logs what it cannot do, instead of raising."""

    @wraps(function)
    def guarded(*args: _Arguments.args, **keywords: _Arguments.kwargs) -> None:
        try:
            function(*args, **keywords)
        except _FOREIGN:
            say(logging.ERROR, "%s of the bus could not be finished", function.__qualname__, exc_info=True)

    return guarded
