"""Risk events: what happened, how urgent it is, and who says so."""

import re
from enum import Enum, EnumType, IntEnum, StrEnum
from functools import lru_cache
from time import time_ns
from typing import Any

from riskbus import stamps
from riskbus.errors import InvalidEventError
from riskbus.native import hot
from riskbus.texts import safe_repr

RESERVED_PREFIX = "AUDIT_"
"""Event types that begin so are the log's own control records."""

_UPPER_SNAKE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")
_TIME_LIMIT = 1 << 63  # nanoseconds; the year 2262
_NAME_LIMIT = 64  # long enough for any sensible name, short enough for a label of a metric


class _PlainMembers(EnumType):
    """The class of enums none of whose members has the name of a method, so that all are plain attributes."""


if hot is not None:
    hot.plain_members(_PlainMembers)


class EventType(StrEnum, metaclass=_PlainMembers):
    """The kinds of risk event that trading systems usually record, and which rule asks for them.

    RTS 6 is Commission Delegated Regulation (EU) 2017/589, 15c3-5 is 17 CFR 240.15c3-5. Recording these events helps
    you meet them; which of them bind you, your lawyers know. What a kind should hold besides: `riskbus.evidence`.

    Kinds of your own are welcome beside these: members of any `enum.Enum` whose names are UPPER_SNAKE, or such strings.
    """

    KILL_SWITCH = "KILL_SWITCH"
    """Orders are pulled at once and trading stops. RTS 6 Art. 12(1); 12(3): which algorithm, trader, desk, client."""
    KILL_SWITCH_RESET = "KILL_SWITCH_RESET"
    """Trading may go on after a kill switch. RTS 6 Art. 12; who allowed it."""
    TRADING_HALT = "TRADING_HALT"
    """Trading pauses in an orderly way, orders may stay. RTS 6 Art. 14 (business continuity)."""
    TRADING_RESUME = "TRADING_RESUME"
    """Trading goes on after a halt. RTS 6 Art. 14."""
    RE_ENABLE = "RE_ENABLE"
    """A person puts back to work what a control had disabled. RTS 6 Art. 15(3): by a designated staff member."""
    OVERRIDE = "OVERRIDE"
    """An order or action goes on although a control blocked it. RTS 6 Art. 15(6): exceptional, verified by risk
    management, authorised by a designated individual."""
    CIRCUIT_BREAKER = "CIRCUIT_BREAKER"
    """A venue, or a breaker of the firm's own, stopped an instrument. RTS 6 Art. 16 (real-time monitoring)."""
    LIMIT_BREACH = "LIMIT_BREACH"
    """Any limit is exceeded that has no kind of its own below. RTS 6 Art. 15(4), 16; 15c3-5(c)(1)."""
    LIMIT_WARNING = "LIMIT_WARNING"
    """A limit is close. RTS 6 Art. 16(5): alerts within five seconds of the event."""
    POSITION_LIMIT_BREACH = "POSITION_LIMIT_BREACH"
    """A position is above its limit. RTS 6 Art. 15(4), 17."""
    EXPOSURE_LIMIT_BREACH = "EXPOSURE_LIMIT_BREACH"
    """Gross or net exposure is above its limit. RTS 6 Art. 15(4), 17 (effective exposure); 15c3-5(c)(1)(i)."""
    CREDIT_LIMIT_BREACH = "CREDIT_LIMIT_BREACH"
    """A credit or capital threshold is exceeded. RTS 6 Art. 15(4); 15c3-5(c)(1)(i)."""
    LOSS_LIMIT_BREACH = "LOSS_LIMIT_BREACH"
    """The loss of a period is above its limit. RTS 6 Art. 15(4), 17."""
    DRAWDOWN_LIMIT_BREACH = "DRAWDOWN_LIMIT_BREACH"
    """The loss since the highest equity is above its limit. RTS 6 Art. 15(4), 17."""
    MARGIN_CALL = "MARGIN_CALL"
    """More collateral is asked for. RTS 6 Art. 17."""
    ORDER_RATE_BREACH = "ORDER_RATE_BREACH"
    """More messages were sent than allowed. RTS 6 Art. 15(1): maximum messages limits."""
    ORDER_SIZE_BREACH = "ORDER_SIZE_BREACH"
    """An order is above the maximum value or volume. RTS 6 Art. 15(1); 15c3-5(c)(1)(ii)."""
    PRICE_COLLAR_BREACH = "PRICE_COLLAR_BREACH"
    """An order's price is outside its collar. RTS 6 Art. 15(1); 15c3-5(c)(1)(ii)."""
    DUPLICATE_ORDER = "DUPLICATE_ORDER"
    """An order repeats another by mistake. 15c3-5(c)(1)(ii)."""
    THROTTLE = "THROTTLE"
    """Orders are slowed down or a strategy is disabled after too many. RTS 6 Art. 15(1), 15(3) (repeated execution)."""
    THROTTLE_RELEASED = "THROTTLE_RELEASED"
    """Orders flow at full rate again. RTS 6 Art. 15(3); after a disabled strategy it is RE_ENABLE."""
    ORDER_REJECTED = "ORDER_REJECTED"
    """A pre-trade control, or the venue, refused an order. RTS 6 Art. 15(2), 15(5), 15(6); 15c3-5(c)(1)(ii)."""
    MASS_CANCEL = "MASS_CANCEL"
    """Many orders are cancelled in one go. RTS 6 Art. 12(2)."""
    SELF_TRADE_PREVENTED = "SELF_TRADE_PREVENTED"
    """Two orders of the firm would have traded with each other. RTS 6 Art. 13 (market manipulation)."""
    FEED_STALENESS = "FEED_STALENESS"
    """Market data is older than allowed. RTS 6 Art. 16: monitoring in real time needs data of now."""
    FEED_RECOVERED = "FEED_RECOVERED"
    """Market data is current again. RTS 6 Art. 16."""
    MARKET_DATA_GAP = "MARKET_DATA_GAP"
    """Market data is missing. RTS 6 Art. 16."""
    CONNECTION_LOST = "CONNECTION_LOST"
    """A venue, broker or drop copy cannot be reached. RTS 6 Art. 14, 16."""
    CONNECTION_RESTORED = "CONNECTION_RESTORED"
    """It can be reached again. RTS 6 Art. 14, 16."""
    PARAMETER_CHANGE = "PARAMETER_CHANGE"
    """A limit or a parameter of an algorithm changes. RTS 6 Art. 5(7): what, by whom, approved by whom; 15c3-5(d)."""
    CONFIGURATION_CHANGE = "CONFIGURATION_CHANGE"
    """Software or its configuration changes. RTS 6 Art. 5(7), 11."""
    LATENCY_SLO_BREACH = "LATENCY_SLO_BREACH"
    """An event took longer than its objective; the bus says so. RTS 6 Art. 16(5)."""
    SUBSCRIBER_QUARANTINED = "SUBSCRIBER_QUARANTINED"
    """A handler is too slow and gets CRITICAL events only; the bus says so. RTS 6 Art. 14, 16."""
    SUBSCRIBER_RECOVERED = "SUBSCRIBER_RECOVERED"
    """It has caught up and gets all events again; the bus says so. RTS 6 Art. 14, 16."""
    HANDLER_OUTCOME = "HANDLER_OUTCOME"
    """What a handler did with an event; in the audit log only, put there by the bus. RTS 6 Art. 16(5)."""
    HANDLER_FAILURE = "HANDLER_FAILURE"
    """What should have acted on an event failed. RTS 6 Art. 14, 16."""
    SYSTEM_ERROR = "SYSTEM_ERROR"
    """Something else failed that risk controls depend on. RTS 6 Art. 14."""
    HEARTBEAT = "HEARTBEAT"
    """All is well, said at intervals. RTS 6 Art. 16: it shows that monitoring ran."""


class EventPriority(IntEnum, metaclass=_PlainMembers):
    """How urgent an event is. The number is the lane: 0 is served first."""

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3


_PRIORITIES = tuple(priority.name for priority in EventPriority)


@lru_cache(maxsize=1024, typed=True)  # members of different enums may be equal to each other
def event_type_name(event_type: str | Enum) -> str:
    """Return the UPPER_SNAKE name under which events of this type are recorded.

    Args:
        event_type: an `EventType`, a member of another enum (its name counts), or a string.

    Raises:
        InvalidEventError: the name is not UPPER_SNAKE, is longer than 64 characters, or is reserved for the log.
    """
    name: object = event_type.name if isinstance(event_type, Enum) else event_type
    if not isinstance(name, str) or len(name) > _NAME_LIMIT or not _UPPER_SNAKE.fullmatch(name):
        raise no_name(event_type)
    if name.startswith(RESERVED_PREFIX):
        raise InvalidEventError(
            f"event_type {name!r} is reserved: names that begin with AUDIT_ belong to the log itself"
        )
    return name


def no_name(event_type: object) -> InvalidEventError:
    """Return the error that says what an event type is."""
    return InvalidEventError(
        f"event_type {event_type!r} is not a name in UPPER_SNAKE of at most {_NAME_LIMIT} characters; "
        "use an EventType, a member of an enum of your own, or a string such as 'KILL_SWITCH'"
    )


class RiskEvent:
    """One risk decision. Make it once; do not change it, nor the payloads that it was given, after it was published.

    Safe to share between threads, and to publish more than once.

    Attributes:
        event_type: an `EventType`, a member of an enum of your own, or a string in UPPER_SNAKE.
        priority: how urgent it is.
        source: the component that decided.
        data: the figures behind the decision.
        metadata: the circumstances.
        event_id: the UUID version 7, or what was given instead.
        timestamp_ns: nanoseconds since the epoch.
    """

    __slots__ = ("data", "event_id", "event_type", "metadata", "priority", "source", "timestamp_ns")

    event_type: str | Enum
    priority: EventPriority
    source: str
    data: dict[str, Any]
    metadata: dict[str, Any]
    event_id: str
    timestamp_ns: int

    def __init__(  # noqa: PLR0913, PLR0917 -- the fields of a record
        self,
        event_type: str | Enum,
        priority: EventPriority,
        source: str,
        data: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        event_id: str | None = None,
        timestamp_ns: int | None = None,
    ) -> None:
        """Make an event.

        Args:
            event_type: what happened.
            priority: how urgent it is.
            source: the component that decided, for example "FeedStalenessCalculator".
            data: the figures behind the decision, as far as possible what JSON knows.
            metadata: the circumstances: rule, trader, desk, algorithm.
            event_id: a UUID version 7, made when none is given.
            timestamp_ns: nanoseconds since the epoch; now, when none is given.

        Raises:
            InvalidEventError: event_type, priority or timestamp_ns is not one that can be recorded.
        """
        if priority.__class__ is not EventPriority:
            raise InvalidEventError(
                f"priority {priority!r} is not an EventPriority; use EventPriority.CRITICAL, HIGH, NORMAL or LOW"
            )
        try:
            _recorded_name(event_type)
        except TypeError:  # a list, for example, which no cache can hold
            raise no_name(event_type) from None
        self.timestamp_ns = time_ns() if timestamp_ns is None else _check_time(timestamp_ns)
        self.event_id = stamps.uuid7(self.timestamp_ns) if event_id is None else event_id
        self.event_type = event_type
        self.priority = priority
        self.source = source
        self.data = {} if data is None else data
        self.metadata = {} if metadata is None else metadata

    @property
    def fields(self) -> dict[str, Any]:
        """What its record will say, in that order, but for the number. Made anew each time."""
        return {
            "ts": stamps.timestamp(self.timestamp_ns),
            "event_id": _text(self.event_id),
            "event_type": _recorded_name(self.event_type),
            "priority": _PRIORITIES[self.priority],
            "source": _text(self.source),
            "data": self.data,
            "metadata": self.metadata,
            "timestamp_ns": self.timestamp_ns,
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RiskEvent) and self.fields == other.fields

    def __hash__(self) -> int:
        return hash(self.event_id)

    def __repr__(self) -> str:
        return (
            f"RiskEvent({self.event_type!r}, {self.priority!r}, source={self.source!r}, data={self.data!r}, "
            f"metadata={self.metadata!r}, event_id={self.event_id!r}, timestamp_ns={self.timestamp_ns!r})"
        )


def check_event(event: object) -> None:
    """Refuse what cannot be recorded at all.

    Raises:
        InvalidEventError: it has nothing of an event.
    """
    if not (isinstance(event, RiskEvent) or (hasattr(event, "fields") and hasattr(event, "priority"))):
        raise InvalidEventError(
            f"{event!r} is not a RiskEvent; make one: RiskEvent(EventType.KILL_SWITCH, EventPriority.CRITICAL, source)"
        )


def broken_event(event: object, error: Exception) -> RiskEvent:
    """Return what is left of an event that was changed until it could not be recorded, as an event of its own."""
    left = {name: getattr(event, name, None) for name in RiskEvent.__slots__}
    reason = f"{type(error).__name__}: {error}"
    data = {"reason": reason, "event": {name: value for name, value in left.items() if value is not None}}
    return RiskEvent(EventType.SYSTEM_ERROR, EventPriority.HIGH, "riskbus", data)


def _text(value: object) -> str:
    # Nobody checks annotations, and a careless caller must not cost the evidence.
    return value if isinstance(value, str) else safe_repr(value)


def _recorded_name(event_type: str | Enum) -> str:
    # An EventType is its own name, and its hash, which the cache would ask for, costs more than all else here.
    return event_type if type(event_type) is EventType else event_type_name(event_type)


def _check_time(timestamp_ns: int) -> int:
    if type(timestamp_ns) is not int or not 0 <= timestamp_ns < _TIME_LIMIT:
        raise InvalidEventError(
            f"timestamp_ns {timestamp_ns!r} is not a whole number of nanoseconds since 1970; use time.time_ns()"
        )
    return timestamp_ns


if hot is not None:
    hot.make_events(RiskEvent, EventType, EventPriority, _PRIORITIES, event_type_name)
