"""Records and lines: one spelling, every byte covered."""

import json
import os
from hashlib import sha256
from typing import Any
from uuid import RFC_4122, UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskbus.errors import FormatError, InvalidEventError
from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.format.record import (
    FIELDS,
    MAX_RECORD_BYTES,
    decode,
    encode_event,
    from_line,
    leaf_hash,
    to_line,
    with_number,
)
from riskbus.stamps import timestamp, uuid7

MOMENT = 1_768_487_425_123_456_789


def _event(**changes: Any) -> RiskEvent:
    fields: dict[str, Any] = {
        "event_type": EventType.KILL_SWITCH,
        "priority": EventPriority.CRITICAL,
        "source": "FeedStalenessCalculator",
        "data": {"max_staleness_ms": 5000},
        "metadata": {"rule_triggered": "feed_staleness_limit"},
        "event_id": "019bc1e3-5d63-7000-8000-000000000000",
        "timestamp_ns": MOMENT,
    }
    return RiskEvent(**(fields | changes))


def test_the_bytes_of_a_record_are_exactly_these() -> None:
    """The format is a contract; a change of a single byte needs a new version."""
    assert with_number(41, encode_event(_event())) == (
        b'{"seq":41,"ts":"2026-01-15T14:30:25.123Z","event_id":"019bc1e3-5d63-7000-8000-000000000000",'
        b'"event_type":"KILL_SWITCH","priority":"CRITICAL","source":"FeedStalenessCalculator",'
        b'"data":{"max_staleness_ms":5000},"metadata":{"rule_triggered":"feed_staleness_limit"},'
        b'"timestamp_ns":1768487425123456789}'
    )


def test_the_hash_covers_the_line_without_the_hash() -> None:
    """Worked out here by hand, from the words of the specification."""
    record = with_number(41, encode_event(_event()))
    line = to_line(record, leaf_hash(record))
    before, _, rest = line.partition(b',"hash":"')
    assert rest.endswith(b'"}\n')
    assert leaf_hash(record) == sha256(b"\x00" + before + b"}").digest()
    assert from_line(line) == (record, leaf_hash(record))
    assert tuple(json.loads(line)) == (*FIELDS, "hash")


FOREIGN = [object(), orjson.Fragment(b'{"indented":\n1}')]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.sampled_from(FOREIGN),
    lambda children: st.lists(children) | st.dictionaries(st.text() | st.integers() | st.none(), children),
)


@given(st.dictionaries(st.text(), json_values), st.integers(0, 2**60), st.text())
def test_whatever_an_event_holds_becomes_one_good_line(data: dict[str, Any], seq: int, source: str) -> None:
    """No payload can break the log's format."""
    record = with_number(seq, encode_event(_event(data=data, source=source)))
    line = to_line(record, leaf_hash(record))
    assert line.count(b"\n") == 1
    assert from_line(line)[0] == record
    assert decode(record)["seq"] == seq


@pytest.mark.parametrize("field", ["data", "metadata", "source", "event_id"])
def test_no_record_is_longer_than_the_limit(field: str) -> None:
    """What is too long keeps its size and hash, and the rest of the record."""
    long: Any = "x" * (MAX_RECORD_BYTES + 1)
    record = with_number(7, encode_event(_event(**{field: {"book": long} if field in {"data", "metadata"} else long})))
    assert len(record) <= MAX_RECORD_BYTES
    fields = decode(record)
    assert fields["event_type"] == "KILL_SWITCH"
    if field in {"data", "metadata"}:
        payload = json.dumps({"book": long}, separators=(",", ":")).encode()
        assert fields[field] == {
            "audit_omitted": "too large",
            "bytes": len(payload),
            "sha256": sha256(payload).hexdigest(),
        }


def test_fields_of_the_wrong_type_do_not_break_the_record() -> None:
    """Annotations are not checked; a careless caller must not cost the evidence."""
    fields = decode(with_number(0, encode_event(_event(source=object(), event_id=7, data="\ud800"))))
    assert fields["source"].startswith("<object object")
    assert fields["event_id"] == "7"
    assert fields["data"] == "\\ud800"
    assert fields["metadata"] == {"rule_triggered": "feed_staleness_limit"}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b'{"seq":1,"hash":"short"}',
        b'{"seq":1}' + b',"hash":"' + b"!" * 44 + b'"}',
        b'{"seq":1,"hash":"' + b"A" * 42 + b'B="}',  # the spare bits of base64 are not zero
    ],
)
def test_a_line_that_is_no_record_is_refused(line: bytes) -> None:
    """One spelling only, so that no byte of a line is free."""
    with pytest.raises(FormatError):
        from_line(line)


@pytest.mark.parametrize(
    "change",
    [
        (b'"seq":41', b'"seq":041'),
        (b'"seq":41', b'"seq":"41"'),
        (b'{"seq":41', b'{ "seq":41'),
        (b'"source":', b'"origin":'),
        (b'"priority":"CRITICAL","source":"FeedStalenessCalculator"', b'"source":"F","priority":"CRITICAL"'),
    ],
)
def test_a_record_with_other_fields_is_refused(change: tuple[bytes, bytes]) -> None:
    """Nine fields in their order, with seq first and plain."""
    record = with_number(41, encode_event(_event()))
    assert change[0] in record
    with pytest.raises(FormatError):
        decode(record.replace(*change))


def test_a_number_is_put_in_front_of_a_body() -> None:
    """Staged records have no number; the writer gives it, and everything else stays as it was."""
    body = encode_event(_event())
    assert with_number(42, body) == b'{"seq":42,' + body.removeprefix(b"{")


def test_an_event_is_what_its_record_says() -> None:
    """Handlers and auditors read the same."""
    event = _event()
    fields = decode(with_number(0, encode_event(event)))
    assert event.source == fields["source"]
    assert event.data == fields["data"]
    assert event.metadata == fields["metadata"]
    assert event.event_id == fields["event_id"]
    assert event.timestamp_ns == fields["timestamp_ns"]
    assert event == _event()
    assert event != _event(source="another")
    assert len({event, _event()}) == 1
    assert "FeedStalenessCalculator" in repr(event)


@given(st.integers(0, 2**63 - 1))
def test_the_readable_time_is_the_exact_time_cut_to_milliseconds(moment: int) -> None:
    """Never rounded up: an event does not lie in the future."""
    text = timestamp(moment)
    assert text.endswith(f".{moment // 1_000_000 % 1000:03d}Z")
    assert timestamp(moment) == text


@pytest.mark.parametrize(
    "name", [[], {}, "", "kill", "Kill_Switch", "A__B", "_A", "A_", "A B", "A" * 65, "AUDIT_OPEN", 7]
)
def test_an_event_type_that_is_no_name_is_refused_when_the_event_is_made(name: Any) -> None:
    """The mistake shows in the line that made it, not in the log years later."""
    with pytest.raises(InvalidEventError, match="event_type"):
        _event(event_type=name)


def test_a_priority_that_is_none_is_refused_when_the_event_is_made() -> None:
    """A plain number would silently choose a lane."""
    with pytest.raises(InvalidEventError, match="EventPriority"):
        _event(priority=1)


@pytest.mark.parametrize("moment", [-1, 1 << 63, 1.5, "now", True])
def test_a_time_that_is_none_is_refused_when_the_event_is_made(moment: Any) -> None:
    """It could not be written exactly."""
    with pytest.raises(InvalidEventError, match="time_ns"):
        _event(timestamp_ns=moment)


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=50))
def test_identifiers_are_version_7_unique_and_of_their_time(moments: list[int]) -> None:
    """RFC 9562: 48 bits of milliseconds, version, variant."""
    made = [UUID(uuid7(moment)) for moment in moments]
    assert [identifier.version for identifier in made] == [7] * len(made)
    assert {identifier.variant for identifier in made} == {RFC_4122}
    assert [identifier.int >> 80 for identifier in made] == [moment // 1_000_000 for moment in moments]
    assert len(set(made)) == len(made)


def test_identifiers_sort_as_they_were_made() -> None:
    """Within a millisecond, too, and however many one millisecond has: a replay gives many events one time."""
    of_one_moment = [uuid7(MOMENT) for _ in range(70_000)]
    assert sorted(set(of_one_moment)) == of_one_moment
    assert uuid7(MOMENT + 1_000_000) > of_one_moment[-1]


def test_a_time_that_goes_back_gets_identifiers_of_its_own() -> None:
    """A clock that is set back repeats its milliseconds, not its identifiers."""
    made = [uuid7(moment) for moment in [MOMENT, MOMENT + 1_000_000] * 1000]
    assert len(set(made)) == len(made)
    assert {identifier[:13] for identifier in made[::2]} == {made[0][:13]}


def test_the_child_of_a_fork_does_not_repeat_its_parents_identifiers() -> None:
    """A prefork server makes a hundred processes of one."""
    uuid7(MOMENT)
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.write(writing, uuid7(MOMENT).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs, ours = os.read(reading, 36).decode(), uuid7(MOMENT)
    assert (theirs[:14], len(theirs)) == (ours[:14], 36)
    assert theirs[14:] != ours[14:]
