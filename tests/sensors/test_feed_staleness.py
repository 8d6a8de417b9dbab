"""A feed that stops is noticed, whatever else its ticks say."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskbus import RiskBusError
from riskbus.sensors import FeedStalenessCalculator
from riskbus.testing import FakeClock


def test_age_is_the_time_since_the_exchange_stamped_the_newest_tick() -> None:
    """Not since the tick arrived: a feed that is late is stale although it ticks."""
    clock = FakeClock()
    feed = FeedStalenessCalculator(500, clock=clock)
    feed.on_tick("SAP", clock() - 200_000_000)
    clock.advance(0.1)
    feed.on_tick("BMW", clock())
    found = feed.assess()
    assert found.by_symbol == {"SAP": 300.0, "BMW": 0.0}
    assert (found.max_staleness_ms, found.max_symbol, found.breached) == (300.0, "SAP", False)


def test_a_symbol_is_stale_above_its_limit_and_not_at_it() -> None:
    """The rule book says "more than"."""
    clock = FakeClock()
    feed = FeedStalenessCalculator(500, symbols=["SAP"], clock=clock)
    clock.advance(0.5)
    assert not feed.assess().breached
    clock.advance(0.000001)
    assert feed.assess().stale == ("SAP",)


def test_a_feed_that_never_starts_is_noticed() -> None:
    """Silence from the beginning is the easiest failure to overlook."""
    clock = FakeClock()
    feed = FeedStalenessCalculator(500, symbols=["SAP", "BMW"], symbol_limits_ms={"ILLIQUID": 60_000}, clock=clock)
    clock.advance(1)
    found = feed.assess()
    assert found.stale == ("BMW", "SAP")
    assert found.by_symbol["ILLIQUID"] == 1000.0


def test_an_illiquid_symbol_has_a_limit_of_its_own() -> None:
    """Otherwise the kill switch is pulled each time nobody trades it for a while."""
    clock = FakeClock()
    feed = FeedStalenessCalculator(500, symbols=["SAP"], symbol_limits_ms={"ILLIQUID": 5_000}, clock=clock)
    clock.advance(2)
    feed.on_tick("SAP", clock())
    assert feed.assess().stale == ()
    clock.advance(4)
    assert feed.assess().stale == ("ILLIQUID", "SAP")


def test_an_older_tick_changes_nothing() -> None:
    """Feeds deliver out of order."""
    clock = FakeClock()
    feed = FeedStalenessCalculator(500, clock=clock)
    feed.on_tick("SAP", clock())
    feed.on_tick("SAP", clock() - 900_000_000)
    assert feed.assess().max_staleness_ms == 0.0


def test_a_tick_from_the_future_does_not_hide_a_feed_that_stops() -> None:
    """One corrupt timestamp must not silence the sensor for years."""
    clock = FakeClock()
    feed = FeedStalenessCalculator(500, clock=clock)
    feed.on_tick("SAP", clock() + 10**18)
    clock.advance(1)
    assert feed.assess().stale == ("SAP",)


def test_without_symbols_nothing_is_stale() -> None:
    """The beginning of every program."""
    found = FeedStalenessCalculator(500).assess()
    assert (found.breached, found.max_staleness_ms, found.max_symbol) == (False, 0.0, "")


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf"), float("-inf"), 1e308, 10**400, "500", None])
def test_a_limit_that_is_not_positive_or_that_no_clock_can_count_is_refused(limit: Any) -> None:
    """It would pull the kill switch at once, or never."""
    with pytest.raises(RiskBusError, match=r"limit_ms.* positive number of milliseconds"):
        FeedStalenessCalculator(limit)
    with pytest.raises(RiskBusError, match=r"symbol_limits_ms\['SAP'\]"):
        FeedStalenessCalculator(500, symbol_limits_ms={"SAP": limit})


@given(
    st.lists(
        st.tuples(st.sampled_from("ABC"), st.floats(min_value=0, max_value=3), st.floats(min_value=-1, max_value=1)),
        max_size=60,
    )
)
def test_the_verdict_is_that_of_the_plainest_model(steps: list[tuple[str, float, float]]) -> None:
    """The same figures as keeping every tick and looking them all through."""
    clock = FakeClock()
    feed = FeedStalenessCalculator(1_000, symbols="AB", clock=clock)
    ticks = {"A": [clock()], "B": [clock()]}
    for symbol, pause, skew in steps:
        clock.advance(pause)
        stamp = clock() + round(skew * 1e9)
        feed.on_tick(symbol, stamp)
        ticks.setdefault(symbol, []).append(min(stamp, clock()))
    ages = {symbol: clock() - max(stamps) for symbol, stamps in ticks.items()}
    found = feed.assess()
    assert found.by_symbol == {symbol: age / 1_000_000 for symbol, age in ages.items()}
    assert found.stale == tuple(sorted(symbol for symbol, age in ages.items() if age > 1_000_000_000))
    assert found.max_staleness_ms == max(ages.values()) / 1_000_000
