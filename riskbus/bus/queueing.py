"""How much may wait for a subscription, and what happens to what may not."""

from dataclasses import dataclass
from enum import StrEnum

from riskbus.errors import SettingsError
from riskbus.events import RiskEvent
from riskbus.format.record import as_json, dumps, encode_carefully
from riskbus.quantities import LONGEST_SECONDS, is_duration, is_whole

DEFAULT_CAPACITY = 10_000
"""Events of one priority that may wait for one subscription: seconds of a busy day."""

DEFAULT_CAPACITY_BYTES = 64 << 20
"""And their bytes: as many megabytes as the log keeps for a volume that refuses them."""

_OVERHEAD = 512  # bytes of an event beside its payload: the object, its identifier, its place in the queue
_UNKNOWN = 64 << 10  # bytes charged for an event that cannot be measured: the longest that the log takes


class WhenFull(StrEnum):
    """What becomes of an event for which a subscription's queue has no room. It is in the audit log in any case."""

    DROP_NEWEST = "drop_newest"
    """The new event is dropped: what waits is in order and without gaps."""
    DROP_OLDEST = "drop_oldest"
    """The oldest waiting events are dropped: the newest state counts."""
    BLOCK = "block"
    """`publish` waits for room, for a bounded time and after everybody else got the event; then the new event is
    dropped. It never waits for a CRITICAL event, nor on an event loop's thread, nor on a thread that serves this very
    subscription: there the new event is dropped at once."""


class DropReason(StrEnum):
    """Why a handler never got an event."""

    QUEUE_EVENTS = "queue_events"
    """As many events waited as may."""
    QUEUE_BYTES = "queue_bytes"
    """As many bytes waited as may."""
    QUARANTINED = "quarantined"
    """The subscription was slow."""
    UNSUBSCRIBED = "unsubscribed"
    LOOP_CLOSED = "loop_closed"
    """Its event loop had ended."""
    BUS_CLOSED = "bus_closed"
    """`close` had no time left for it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may wait in one mailbox.

    Attributes:
        events: Most events.
        size: Most bytes, by `size_of`; None for any.
        when_full: What happens to what has no room.
        block_seconds: Longest wait of `publish` for `WhenFull.BLOCK`.
    """

    events: int = DEFAULT_CAPACITY
    size: int | None = DEFAULT_CAPACITY_BYTES
    when_full: WhenFull = WhenFull.DROP_NEWEST
    block_seconds: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            SettingsError: A bound is not positive, not finite, or not a number of its kind.
        """
        if not is_whole(self.events, 1):
            raise SettingsError(
                f"capacity is {self.events!r}; give the number of events that may wait, a whole one of at least 1"
            )
        if self.size is not None and not is_whole(self.size, 1):
            raise SettingsError(
                f"capacity_bytes is {self.size!r}; give a positive whole number of bytes, or None for any"
            )
        if self.when_full not in tuple(WhenFull):
            raise SettingsError(f"when_full is {self.when_full!r}; give a WhenFull: {', '.join(WhenFull)}")
        if not is_duration(self.block_seconds):
            raise SettingsError(
                f"block_seconds is {self.block_seconds!r}; give a positive number of seconds, at most {LONGEST_SECONDS}"
            )


def size_of(event: RiskEvent) -> int:
    """Return about how many bytes an event holds: its payload as its record has it, and a fixed part.

    Raises:
        BaseException: What was thrown in from outside, for example KeyboardInterrupt; never an Exception.
    """
    try:
        return _OVERHEAD + len(dumps(event.data, as_json)) + len(dumps(event.metadata, as_json))
    except Exception as error:  # noqa: BLE001 -- whatever a foreign object raises, the event is delivered
        return _size_of_odd(event, error)


def _size_of_odd(event: RiskEvent, error: Exception) -> int:
    try:
        return _OVERHEAD + len(encode_carefully(event, error))
    except Exception:  # noqa: BLE001 -- as above
        return _UNKNOWN
