"""Which segments may go: never one too many, and never one too early."""

import fcntl
from collections.abc import Callable
from pathlib import Path
from time import time_ns

import pytest

from riskbus.clock import ClockStatus
from riskbus.errors import FormatError
from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.format.pruning import Pruned, parse_pruned
from riskbus.runtime import AuditLog
from riskbus.store.relocation import compress
from riskbus.store.retention import Rules, find_expired
from riskbus.store.stream import list_segments

Open = Callable[..., AuditLog]
Append = Callable[[AuditLog, int], None]
MakeRules = Callable[..., Rules]
DAY_NS = 24 * 3600 * 10**9
OTHER = "f" * 32
NOBODYS = ClockStatus(synchronized=False, estimated_error_us=0, max_error_us=0)


def _expired(directory: Path, rules: Rules) -> list[Pruned]:
    return list(find_expired(directory, "risk_audit", OTHER, rules))


def _names(pruned: list[Pruned]) -> list[str]:
    return [name for item in pruned for name in item.segments]


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_newest_closed_segments_stay_however_old_they_are(two: Path, rules: MakeRules, keep: int) -> None:
    """And the very newest of the stream besides: it may be someone's active one."""
    names = list_segments(two)
    expired = _expired(two, rules(days_later=3650, keep=keep))
    assert _names(expired) == [str(name) for name in names[: -1 - keep]]


def test_nothing_goes_before_its_retention(two: Path, rules: MakeRules) -> None:
    """By the time of the newest record, whatever the file's own times say."""
    assert _expired(two, rules(days_later=9.9)) == []
    assert _names(_expired(two, rules(days_later=10.1))) != []


def test_nothing_goes_while_there_are_few_segments(two: Path, rules: MakeRules) -> None:
    """Thirty by default."""
    assert _expired(two, rules(keep=30)) == []


def test_nothing_goes_by_a_clock_that_nobody_keeps(two: Path, rules: MakeRules) -> None:
    """A clock that is wrong by years would take the evidence of years with it."""
    assert _expired(two, rules(clock=NOBODYS)) == []


def test_nothing_goes_while_the_log_is_ahead_of_the_clock(two: Path, rules: MakeRules) -> None:
    """Records from the future say that the clock was set back: then it is wrong now, or was before."""
    assert _expired(two, rules(days_later=-1)) == []


def test_one_young_record_keeps_its_segment_and_what_follows(
    open_log: Open, append: Append, path: Path, rules: MakeRules
) -> None:
    """Events carry their publisher's times, so the last line of a segment alone says little."""
    log = open_log()
    append(log, 300)
    young = time_ns() + 2 * DAY_NS
    log.append(RiskEvent(EventType.THROTTLE, EventPriority.LOW, "test", {"number": -1}, timestamp_ns=young))
    append(log, 300)
    assert log.close(10) == ()
    names = list_segments(path.parent)
    (holder,) = [name for name in names if b'"number":-1}' in (path.parent / str(name)).read_bytes()]
    expired = _names(_expired(path.parent, rules(days_later=11)))
    assert expired == [str(name) for name in names[: names.index(holder)]]
    assert expired


def test_a_segment_that_is_written_stays_and_so_does_what_follows(two: Path, rules: MakeRules) -> None:
    """From the oldest on, without a hole."""
    names = list_segments(two)
    with (two / str(names[1])).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert _names(_expired(two, rules())) == [str(names[0])]


def test_a_segment_that_is_not_sound_stays(two: Path, rules: MakeRules) -> None:
    """What was tampered with is evidence of that, however old it is."""
    segment = two / str(list_segments(two)[0])
    content = segment.read_bytes()
    segment.write_bytes(content.replace(b'"number":10,', b'"number":11,', 1))
    with pytest.raises(FormatError, match="not sound at record"):
        _expired(two, rules())
    lines = content.splitlines(keepends=True)
    segment.write_bytes(b"".join([*lines[:10], *lines[11:]]))
    with pytest.raises(FormatError, match="not sound at record 10"):
        _expired(two, rules())


def test_compressed_segments_expire_as_well(two: Path, rules: MakeRules) -> None:
    """With the same words about them."""
    before = _expired(two, rules())
    for name in list_segments(two):
        assert compress(two / str(name), lambda: None)
    assert _expired(two, rules()) == before


def test_what_is_said_about_them_is_enough_to_go_on(two: Path, rules: MakeRules) -> None:
    """Numbers, the edge of the tree, the key: as AUDIT_PRUNED carries them."""
    names = list_segments(two)
    first, second = _expired(two, rules())
    assert first.incarnation == names[0].incarnation
    assert first.closed
    assert first.events == 600
    assert not second.closed
    following = next(name for name in names if str(name) not in first.segments + second.segments)
    assert second.records == following.first_seq
    assert second.previous[0][0] == first.incarnation
    for pruned in (first, second):
        assert parse_pruned(pruned.payload(10)) == pruned
        with pytest.raises(FormatError, match="contradicts itself"):
            parse_pruned(pruned.payload(10) | {"records": pruned.records + 1})
