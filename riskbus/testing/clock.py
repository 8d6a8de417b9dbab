"""A clock that a test moves by hand."""

_NS_PER_SECOND = 1_000_000_000


class FakeClock:
    """Stands in for `time.time_ns` wherever a clock can be given. Starts on 15 January 2026, 14:30:25 UTC.

    Thread-safety: read from any thread, move from one.
    """

    def __init__(self, start_ns: int = 1_768_487_425 * _NS_PER_SECOND) -> None:
        self._now_ns = start_ns

    def __call__(self) -> int:
        """Return the present time in nanoseconds since the epoch."""
        return self._now_ns

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self._now_ns += round(seconds * _NS_PER_SECOND)
