"""What was lost since the best moment is compared with its limit, exactly and without flapping."""

import decimal
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskbus import RiskBusError
from riskbus.sensors import DrawdownMonitor
from riskbus.testing import FakeClock


def test_the_drawdown_is_counted_from_the_highest_equity_not_from_the_first() -> None:
    """A strategy that won and lost it again has a drawdown."""
    clock = FakeClock()
    monitor = DrawdownMonitor(100, clock=clock)
    assert monitor.assess(1000).drawdown == 0
    clock.advance(1)
    monitor.assess(1500)
    reached = clock()
    clock.advance(1)
    found = monitor.assess(1410)
    assert (found.peak, found.drawdown) == (Decimal(1500), Decimal(90))
    assert (found.peak_at_ns, found.breached) == (reached, False)


def test_the_limit_is_breached_above_it_and_not_at_it() -> None:
    """The rule book says "more than"."""
    monitor = DrawdownMonitor(Decimal("100.00"))
    monitor.assess(Decimal("1000.00"))
    assert not monitor.assess(Decimal("900.00")).breached
    found = monitor.assess(Decimal("899.99"))
    assert (found.breached, found.changed) == (True, True)


def test_a_breach_lasts_until_the_drawdown_is_at_the_re_arm_level() -> None:
    """A loss that hovers around its limit pulls the kill switch once, not a hundred times."""
    monitor = DrawdownMonitor(100, rearm_at=60)
    monitor.assess(1000)
    verdicts = [monitor.assess(1000 - loss) for loss in (101, 99, 101, 61, 60, 99, 101)]
    assert [found.breached for found in verdicts] == [True, True, True, True, False, False, True]
    assert [found.changed for found in verdicts] == [True, False, False, False, True, False, True]


def test_a_new_session_forgets_the_peak() -> None:
    """Yesterday's profit is not today's risk."""
    monitor = DrawdownMonitor(100)
    monitor.assess(1000)
    assert monitor.assess(800).breached
    monitor.begin_session()
    found = monitor.assess(800)
    assert (found.peak, found.drawdown) == (Decimal(800), Decimal(0))
    assert (found.breached, found.changed) == (False, False)


def test_ten_dimes_are_a_dollar() -> None:
    """With floats, a loss of exactly the limit would be above it."""
    monitor = DrawdownMonitor(Decimal("0.3"))
    monitor.assess(Decimal("0.3"))
    assert 0.3 < 0.1 * 3
    assert not monitor.assess(Decimal("0.3") - Decimal("0.1") * 3).breached


def test_the_programs_own_rounding_changes_nothing() -> None:
    """A program that prints six digits may have set its decimal context so."""
    with decimal.localcontext(prec=1):
        monitor = DrawdownMonitor(101)
        monitor.assess(Decimal(10_000_000_000))
        assert monitor.assess(Decimal(9_999_999_898)).breached
        assert monitor.assess(Decimal("9_999_999_949.4999")).breached
        assert not monitor.assess(Decimal("9_999_999_949.5")).breached


@pytest.mark.parametrize("amount", [1.5, float("nan"), "5", None, True, Decimal("NaN"), Decimal("Infinity")])
def test_an_amount_that_is_not_exact_is_refused(amount: Any) -> None:
    """Found in the first test run, not in the first loss."""
    with pytest.raises(RiskBusError, match=r"equity is .*int or a Decimal"):
        DrawdownMonitor(100).assess(amount)
    with pytest.raises(RiskBusError, match=r"limit is .*int or a Decimal"):
        DrawdownMonitor(amount)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"limit": 0}, "limit is 0: give a positive amount"),
        ({"limit": -1}, "positive amount"),
        ({"limit": 100, "rearm_at": 101}, "rearm_at is 101: give an amount from 0 to the limit, 100"),
        ({"limit": 100, "rearm_at": -1}, "rearm_at is -1"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(arguments: dict[str, Any], message: str) -> None:
    """It would pull the kill switch at once, or never."""
    with pytest.raises(RiskBusError, match=message):
        DrawdownMonitor(**arguments)


amounts = st.one_of(
    st.integers(-(10**15), 10**15),
    st.decimals(-(10**9), 10**9, allow_nan=False, allow_infinity=False, places=4),
)


@given(st.lists(amounts, min_size=1, max_size=60), st.integers(1, 10**12), st.data())
def test_the_verdict_is_that_of_the_plainest_model(
    equities: list[int | Decimal], limit: int, data: st.DataObject
) -> None:
    """The same as keeping every equity and looking them all through, in fractions."""
    rearm_at = data.draw(st.integers(0, limit))
    monitor = DrawdownMonitor(limit, rearm_at=rearm_at)
    breached = False
    for number, equity in enumerate(equities):
        found = monitor.assess(equity)
        lost = Decimal(max(equities[: number + 1])) - Decimal(equity)
        before, breached = breached, lost > (rearm_at if breached else limit)
        assert (found.drawdown, found.breached, found.changed) == (lost, breached, breached != before)
        assert found.drawdown >= 0
