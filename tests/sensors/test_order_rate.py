"""No window of time ever holds more messages than allowed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskbus import RiskBusError
from riskbus.sensors import OrderRateThrottle
from riskbus.testing import FakeClock


def test_messages_flow_up_to_the_limit_and_the_next_is_refused() -> None:
    """The venue would disconnect who sends it."""
    throttle = OrderRateThrottle(3, clock=FakeClock())
    assert [throttle.admit().messages for _ in range(3)] == [1, 2, 3]
    refused = throttle.admit()
    assert (refused.admitted, refused.messages, refused.limit) == (False, 3, 3)
    assert (refused.throttled, refused.changed) == (True, True)
    assert not throttle.admit().changed


def test_a_refused_message_is_not_counted() -> None:
    """Otherwise a strategy that keeps on asking is never heard again."""
    clock = FakeClock()
    throttle = OrderRateThrottle(1, clock=clock)
    assert throttle.admit().admitted
    for _ in range(9):
        clock.advance(0.1)
        assert not throttle.admit().admitted
    clock.advance(0.1)
    assert throttle.admit().admitted


def test_messages_flow_again_when_few_enough_are_left_in_the_window() -> None:
    """A throttle that opens for a single message closes again at once, and each time is an event."""
    clock = FakeClock()
    throttle = OrderRateThrottle(4, resume_at=1, clock=clock)
    for _ in range(4):
        assert throttle.admit().admitted
        clock.advance(0.1)
    refused = throttle.admit()
    assert refused.retry_after_ns == 800_000_000  # until the third of four leaves: at 0.2 + 1.0, and now is 0.4
    clock.advance(0.799)
    assert not throttle.admit().admitted
    clock.advance(0.001)
    released = throttle.admit()
    assert (released.admitted, released.throttled, released.changed, released.messages) == (True, False, True, 2)
    assert released.retry_after_ns == 0


def test_the_turn_of_a_second_lets_no_more_through() -> None:
    """A counter for each calendar second would admit six within a tenth of a second here."""
    clock = FakeClock()
    throttle = OrderRateThrottle(3, clock=clock)
    clock.advance(0.95)
    admitted = [throttle.admit().admitted for _ in range(3)]
    clock.advance(0.1)
    assert [*admitted, *(throttle.admit().admitted for _ in range(3))] == [True] * 3 + [False] * 3


def test_a_clock_that_goes_back_opens_nothing() -> None:
    """A wall clock that is set must not let a burst through."""
    clock = FakeClock()
    throttle = OrderRateThrottle(2, clock=clock)
    throttle.admit()
    throttle.admit()
    clock.advance(-3600)
    assert not throttle.admit().admitted


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"limit": 0}, "limit is 0: give the number of messages"),
        ({"limit": float("nan")}, "limit is nan: give the number of messages"),
        ({"limit": float("inf")}, "limit is inf"),
        ({"limit": 1.5}, "limit is 1.5"),
        ({"limit": 10**30}, "at most 9223372036854775807"),
        ({"limit": "5"}, "limit is '5'"),
        ({"limit": 5, "window_seconds": 0}, "window_seconds is 0: give a positive number"),
        ({"limit": 5, "window_seconds": float("nan")}, "window_seconds is nan"),
        ({"limit": 5, "window_seconds": float("inf")}, "window_seconds is inf"),
        ({"limit": 5, "window_seconds": -1}, "window_seconds is -1"),
        ({"limit": 5, "window_seconds": 1e300}, "at most 3155760000"),
        ({"limit": 5, "window_seconds": "1"}, "window_seconds is '1'"),
        ({"limit": 5, "resume_at": 5}, "resume_at is 5: give a number from 0 to one less than the limit, 5"),
        ({"limit": 5, "resume_at": -1}, "resume_at is -1"),
        ({"limit": 5, "resume_at": 1.5}, "resume_at is 1.5"),
        ({"limit": 5, "resume_at": float("nan")}, "resume_at is nan"),
        ({"limit": 5, "resume_at": "1"}, "resume_at is '1'"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(arguments: dict[str, Any], message: str) -> None:
    """It would stop all trading, or nothing."""
    with pytest.raises(RiskBusError, match=message):
        OrderRateThrottle(**arguments)


@given(
    st.integers(1, 8),
    st.data(),
    st.lists(st.integers(0, 700), min_size=1, max_size=120),
)
def test_every_window_keeps_the_limit_and_hysteresis_is_that_of_the_plainest_model(
    limit: int, data: st.DataObject, pauses_ms: list[int]
) -> None:
    """Looked at from every admitted message, with all of them kept."""
    resume_at = data.draw(st.integers(0, limit - 1))
    clock = FakeClock()
    throttle = OrderRateThrottle(limit, resume_at=resume_at, clock=clock)
    sent: list[int] = []
    throttled = False
    for pause in pauses_ms:
        clock.advance(pause / 1000)
        found = throttle.admit()
        window = [moment for moment in sent if moment > clock() - 10**9]
        throttled = len(window) > resume_at if throttled else len(window) >= limit
        assert (found.admitted, found.throttled) == (not throttled, throttled)
        if found.admitted:
            sent.append(clock())
        assert sum(1 for moment in sent if moment > clock() - 10**9) == found.messages <= limit


@given(st.integers(1, 8), st.data(), st.lists(st.integers(0, 300), max_size=40))
def test_the_wait_that_is_named_is_exactly_long_enough(limit: int, data: st.DataObject, pauses_ms: list[int]) -> None:
    """Who waits so long is admitted, and who waits a nanosecond less is not."""
    resume_at = data.draw(st.integers(0, limit - 1))

    def refused() -> tuple[OrderRateThrottle, FakeClock, int]:
        clock = FakeClock()
        throttle = OrderRateThrottle(limit, resume_at=resume_at, clock=clock)
        for pause in pauses_ms:
            clock.advance(pause / 1000)
            throttle.admit()
        while not (found := throttle.admit()).throttled:
            pass
        return throttle, clock, found.retry_after_ns

    early, clock, wait_ns = refused()
    clock.advance((wait_ns - 1) / 1e9)
    assert not early.admit().admitted
    right, clock, wait_ns = refused()
    clock.advance(wait_ns / 1e9)
    assert right.admit().admitted
