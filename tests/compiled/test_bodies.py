"""The compiled form writes an event down, byte for byte, as the form in Python does."""

import gc
import weakref
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from orjson import Fragment

from riskbus import EventPriority, EventType, Receipt, RiskEvent, native
from riskbus.format.record import encode_event
from riskbus.runtime.appending import make_append
from riskbus.runtime.progress import Progress
from riskbus.runtime.staging import Staging
from tests.audit_log.rings import make_ring, staging_on

pytestmark = pytest.mark.skipif(native.hot is None, reason="riskbus is not compiled here")

Append = Callable[[RiskEvent], Receipt]


class Own(Enum):
    """Kinds of event of a program's own."""

    STOP_LOSS = 1


class Desk(str):
    """A text of a program's own kind."""

    __slots__ = ()


class Side(str, Enum):  # noqa: UP042 -- a StrEnum says the same in both ways
    """Members that are one text, which JSON takes, and have another as their value."""

    BUY = "b", "buy"

    def __new__(cls, text: str, value: str) -> Self:
        """Make the member."""
        member = str.__new__(cls, text)
        member._value_ = value
        return member


class Refusing:
    """A value that cannot even be described."""

    def __repr__(self) -> str:
        raise ValueError("never")


SPECIAL = [
    "",
    '"',
    "1234567\\",
    '123456789"',
    "12345678\\x",
    "a\x1fb",
    "\x00",
    "\n",
    "\x7f",
    "ü",
    "\ud800",
    "a" * 2000,
    Side.BUY,
]
TEXTS = st.one_of(
    st.sampled_from(SPECIAL),
    st.text(),
    st.text(st.characters(max_codepoint=0x7F)),
    st.sampled_from([Desk("intraday"), Side.BUY, 7, None]),
)
EVENT_TYPES = st.sampled_from([*EventType, *Own, "OWN_KIND", "A" * 64])
FRAGMENTS: list[Any] = [{"a": Fragment(b'{"b": 1}')}, Fragment(b'{"a":\n1}'), {"a": Fragment(b'"\n"')}]
PAYLOADS = st.one_of(
    st.none(),
    st.dictionaries(st.text(), st.one_of(st.integers(), st.floats(), st.text(), st.booleans()), max_size=4),
    st.sampled_from([{"a": Own.STOP_LOSS}, {1: 2}, {"a": {3}}, {"a": b"x"}, {"a": Refusing()}, {"a": 1 << 70}, [1], 7]),
    st.sampled_from([{"long": "x" * 600}, {"longer": "x" * 1100}]),
    st.sampled_from(FRAGMENTS),
)
TIMES = st.one_of(
    st.none(), st.integers(0, (1 << 63) - 1), st.sampled_from([0, 10**18 - 1, 10**18, 10**18 + 999_999, (1 << 63) - 1])
)
EVENTS = st.builds(
    RiskEvent,
    EVENT_TYPES,
    st.sampled_from(EventPriority),
    TEXTS,
    PAYLOADS,
    PAYLOADS,
    event_id=TEXTS,
    timestamp_ns=TIMES,
)


@pytest.fixture(scope="module")
def ring_memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the rings of these tests are."""
    return tmp_path_factory.mktemp("rings")


@pytest.fixture
def staging(ring_memory: Path) -> Iterator[Staging]:
    """A staging of its own."""
    ring = make_ring(ring_memory)
    yield staging_on(ring)
    ring.remove()
    ring.give_up()


@pytest.fixture
def append(staging: Staging) -> Append:
    """What appends to it."""
    return make_append(staging, Progress(staging.ring, lambda: None), lambda _seq, _event: None)


def staged(staging: Staging, receipt: Receipt) -> bytes:
    """Return the body that was put down, and make room for more."""
    held = staging.ring.get(receipt.seq)
    assert held is not None
    staging.ring.release(receipt.seq + 1)
    return held.body


@given(EVENTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_body_is_the_same_whoever_makes_it(staging: Staging, append: Append, event: RiskEvent) -> None:
    """Texts that JSON writes otherwise, payloads that it does not know, times of any year, records of any length."""
    assert staged(staging, append(event)) == encode_event(event)


@pytest.mark.parametrize("text", SPECIAL, ids=ascii)
def test_a_text_is_written_as_json_has_it_wherever_it_stands(staging: Staging, append: Append, text: str) -> None:
    """Characters that have to be written otherwise, at any place of a text, and texts that are no plain ones."""
    for event in (
        RiskEvent(EventType.HEARTBEAT, EventPriority.LOW, text),
        RiskEvent(EventType.HEARTBEAT, EventPriority.LOW, "test", event_id=text),
    ):
        assert staged(staging, append(event)) == encode_event(event)


@pytest.mark.parametrize("payload", FRAGMENTS)
@pytest.mark.parametrize("where", ["data", "metadata"])
def test_what_a_program_has_serialised_itself_stays_in_its_place(
    staging: Staging, append: Append, where: str, payload: Any
) -> None:
    """Whatever is in it, also what stands between the payloads for a moment."""
    event = RiskEvent(EventType.HEARTBEAT, EventPriority.LOW, "test", **{where: payload})
    body = staged(staging, append(event))
    assert body == encode_event(event)
    assert b"\n" not in body


def test_an_event_is_written_down_as_it_is_then(staging: Staging, append: Append) -> None:
    """Not as it was in the millisecond, or with the payload, of the event before."""
    for step in range(50):
        event = RiskEvent(
            EventType.HEARTBEAT, EventPriority.LOW, "test", {"step": step}, timestamp_ns=10**18 + step * 777_777_777
        )
        assert staged(staging, append(event)) == encode_event(event)


def test_a_payload_that_appends_while_it_is_serialised_harms_neither_record(staging: Staging, append: Append) -> None:
    """Its text may come from a program's code, and that may do anything."""

    class Appending:
        def __repr__(self) -> str:
            receipts.append(append(inner))
            return "appended"

    receipts: list[Receipt] = []
    inner = RiskEvent(EventType.HEARTBEAT, EventPriority.LOW, "inner", {"n": 1})
    outer = RiskEvent(EventType.HEARTBEAT, EventPriority.LOW, "outer", {"n": Appending()}, {"desk": "x"})
    receipt = append(outer)
    first, second = staging.ring.get(receipt.seq), staging.ring.get(receipts[0].seq)
    assert first is not None
    assert second is not None
    assert b'"source":"outer","data":{"n":"appended"},"metadata":{"desk":"x"}' in first.body
    assert second.body == encode_event(inner)


def test_a_payload_lives_no_longer_than_its_owners_want(append: Append) -> None:
    """The log keeps bytes, never objects."""

    class Value:
        def __repr__(self) -> str:
            return "value"

    value = Value()
    seen = weakref.ref(value)
    append(RiskEvent(EventType.HEARTBEAT, EventPriority.LOW, "test", {"value": value}, {"value": value}))
    del value
    gc.collect()
    assert seen() is None
