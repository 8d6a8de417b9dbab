"""The compiled form of the hottest paths does what the form in Python does, which is the reference."""

import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from riskbus import EventPriority, EventType, RiskEvent, RiskEventBus, native, stamps
from riskbus.bus.durability import Times
from riskbus.bus.tally import BUCKET_BOUNDS_NS, count_latencies
from riskbus.errors import InvalidEventError

pytestmark = pytest.mark.skipif(native.hot is None, reason="riskbus is not compiled here")


class Own(Enum):
    """Kinds of event of a program's own."""

    STOP_LOSS = 1
    lower_case = 2


EVENT_TYPES = st.sampled_from([*EventType, *Own, "OWN_KIND", "no name", "AUDIT_OPEN", "", 7, None, ["KILL_SWITCH"]])
PAYLOADS = st.sampled_from([None, {}, {"limit": 10}, {"nested": {"deep": [1, 2]}}])
ARGUMENTS = st.fixed_dictionaries(
    {"event_type": EVENT_TYPES, "priority": st.sampled_from([*EventPriority, 1, "LOW", None]), "source": st.text()},
    optional={
        "data": PAYLOADS,
        "metadata": PAYLOADS,
        "event_id": st.sampled_from([None, "", "an-id", 7]),
        "timestamp_ns": st.sampled_from([None, 0, 1_700_000_000_000_000_000, -1, 1.5]),
        "sauce": st.just("x"),
    },
)
NANOSECONDS = st.lists(st.integers(0, 1 << 40), max_size=50)


def make_in_python(*args: Any, **keywords: Any) -> RiskEvent:
    """Make an event as RiskEvent does where nothing is compiled."""
    event: RiskEvent = object.__new__(RiskEvent)
    RiskEvent.__init__(event, *args, **keywords)
    return event


def outcome(make: Any, *args: Any, **keywords: Any) -> object:
    """Return what came of it, but for what differs each time."""
    try:
        event = make(*args, **keywords)
    except (InvalidEventError, TypeError) as error:
        return type(error), str(error)
    fields = dict(event.fields)
    if keywords.get("timestamp_ns") is None:
        assert fields.pop("ts") == stamps.timestamp(fields.pop("timestamp_ns"))
    if keywords.get("event_id") is None:
        assert len(fields.pop("event_id")) == 36
    return event.event_type, event.priority, list(event.fields), fields


@given(ARGUMENTS, st.integers(0, 3))
def test_an_event_is_the_same_whoever_makes_it(arguments: dict[str, Any], positional: int) -> None:
    """With every argument, given by its place or its name; and what is wrong is refused in the same words."""
    by_place = [arguments[name] for name in ("event_type", "priority", "source")[:positional]]
    by_name = dict(list(arguments.items())[positional:])
    made = outcome(RiskEvent, *by_place, **by_name)
    assert made == outcome(make_in_python, *by_place, **by_name)


def test_events_of_both_forms_have_identifiers_of_their_own_in_order() -> None:
    """They count from the same counter."""
    makes = (RiskEvent, make_in_python)
    events = [makes[number % 2](EventType.HEARTBEAT, EventPriority.LOW, "test") for number in range(2000)]
    identifiers = [event.event_id for event in events]
    assert len(set(identifiers)) == len(identifiers)
    assert identifiers == sorted(identifiers)


@given(NANOSECONDS, st.one_of(st.integers(-1, 1 << 40), st.just(sys.maxsize), st.just(1 << 70)))
def test_latencies_fall_into_the_same_buckets(latencies_ns: list[int], objective_ns: int) -> None:
    """Also those at a bound, and with an objective that nothing or everything is above."""
    assert native.hot is not None
    latencies_ns += [bound + step for bound in BUCKET_BOUNDS_NS[:3] for step in (-1, 0, 1)]
    ours, theirs = ([0] * (len(BUCKET_BOUNDS_NS) + 1) for _ in range(2))
    expected = count_latencies(latencies_ns, BUCKET_BOUNDS_NS, ours, objective_ns)
    assert native.hot.count_latencies(latencies_ns, BUCKET_BOUNDS_NS, theirs, objective_ns) == expected
    assert theirs == ours


@given(st.lists(st.tuples(st.sampled_from(EventPriority), st.integers(0, 3), st.booleans()), max_size=60))
def test_times_of_records_on_their_way_come_out_the_same(steps: list[tuple[EventPriority, int, bool]]) -> None:
    """Nearly in order, more than there was room for at first, and those that are late need attention."""
    assert native.hot is not None
    both = Times(), native.hot.Times()
    seq = 0
    for priority, step, take in steps * 8:
        seq += step
        assert len({times.put(priority, seq, seq * 10) for times in both}) == 1
        if take:
            taken = [times.take(priority, seq - 3, 1_000_000) for times in both]
            assert taken[0] == taken[1]
            for times in both:
                times.attention = seq - 2


def test_times_have_room_for_every_record_of_a_long_outage() -> None:
    """The memory grows while some are taken out, and none gets lost or out of order."""
    assert native.hot is not None
    times = native.hot.Times()
    found: list[int] = []
    for seq in range(10_000):
        times.put(EventPriority.HIGH, seq, -seq)
        if seq % 3 == 0:
            found += times.take(EventPriority.HIGH, seq // 3, 0)
    found += times.take(EventPriority.HIGH, 10_000, 0)
    assert found == list(range(10_000))


_LOADED_AGAIN = """
import importlib, riskbus.events
older = riskbus.events.RiskEvent
events = importlib.reload(riskbus.events)
made = events.RiskEvent(events.EventType.HEARTBEAT, events.EventPriority.LOW, "test")
assert made.fields["event_type"] == "HEARTBEAT", made
try:
    older(events.EventType.HEARTBEAT, events.EventPriority.LOW, "test")
except riskbus.errors.InvalidEventError:
    pass  # its own EventPriority is another one
"""


@pytest.mark.parametrize("kinds", [EventType, EventPriority])
def test_the_members_of_our_enums_are_plain_attributes(kinds: type[Enum]) -> None:
    """On Python 3.11 Enum would ask a method of its own for each; that it answers otherwise shows who answers."""
    assert [getattr(kinds, name) for name in kinds.__members__] == list(kinds)
    with pytest.raises(AttributeError, match=rf"type object '{kinds.__name__}' has no attribute 'NONSENSE'"):
        getattr(kinds, "NONSENSE")  # noqa: B009 -- what mypy and readers know to be wrong
    with pytest.raises(AttributeError):
        setattr(kinds, next(iter(kinds.__members__)), None)


def test_what_is_no_metaclass_is_refused() -> None:
    """Its attributes would be looked up where it has none."""
    with pytest.raises(TypeError, match="is not a metaclass"):
        native.hot.plain_members(Own)  # type: ignore[union-attr]  # skipped where it is None


def test_what_is_no_mailbox_is_refused(tmp_path: Path) -> None:
    """The compiled form reads slots where a mailbox has them."""
    bus = RiskEventBus(audit_log_path=tmp_path / "audit" / "risk_audit.jsonl", registry=CollectorRegistry())
    with bus, pytest.raises(TypeError, match="is no mailbox"):
        bus.publish.call_next(object())  # type: ignore[attr-defined]  # compiled, it has one


def test_an_empty_mailbox_hands_nothing_on(tmp_path: Path) -> None:
    """A worker that believed it had handled something would not be noticed when it is stuck."""
    with RiskEventBus(audit_log_path=tmp_path / "audit" / "risk_audit.jsonl", registry=CollectorRegistry()) as bus:
        subscription = bus.subscribe(None, lambda _: None)
        assert bus.publish.call_next(subscription.mailboxes[0]) is False  # type: ignore[attr-defined]  # as above


def test_loading_the_events_again_breaks_nothing() -> None:
    """Interactive sessions and some test runners do it."""
    subprocess.run([sys.executable, "-c", _LOADED_AGAIN], check=True, timeout=60)
