"""A progress bar on standard error, where that is a terminal."""

import sys
from time import monotonic
from types import TracebackType
from typing import Self

_WIDTH = 30
_INTERVAL = 0.1  # seconds between two drawings


class ProgressBar:
    """Shows how much of a number of bytes is done; silent where standard error is not a terminal."""

    def __init__(self, label: str, total: int) -> None:
        self._label = label
        self._total = total
        self._done = 0
        self._drawn_at = 0.0
        self._visible = sys.stderr.isatty() and total > 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._visible:
            _draw("\r\033[K")

    def advance(self, count: int) -> None:
        """Count bytes as done."""
        self._done += count
        if self._visible and monotonic() - self._drawn_at >= _INTERVAL:
            self._drawn_at = monotonic()
            share = min(self._done / self._total, 1.0)
            bar = "█" * round(share * _WIDTH)
            _draw(f"\r{self._label} {bar:<{_WIDTH}} {share:4.0%}")


def _draw(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
