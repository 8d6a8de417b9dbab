"""Helpers make events that an auditor has no questions about."""

from decimal import Decimal
from typing import Any

import pytest

from riskbus import EventPriority, EventType, RiskEvent, evidence
from riskbus.completeness import REQUIREMENTS, missing

WHOSE = evidence.Responsible(algorithm="intraday-jules 4.2", trader="t.jules", desk="equities-eu", client="c-81")

COMPLETE = [
    evidence.kill_switch("FeedStalenessCalculator", WHOSE, rule_triggered="feed_staleness_limit"),
    evidence.kill_switch("Console", WHOSE, reason="erroneous quotes", actor="a.smith"),
    evidence.override(
        "Console",
        WHOSE,
        parameter="max_order_value",
        prior_value=Decimal(1_000_000),
        new_value=Decimal(2_500_000),
        actor="a.smith",
        approved_by="b.jones",
        reason="block trade, client instruction 81-7",
    ),
    evidence.kill_switch_reset("FeedStalenessCalculator", WHOSE, rule_triggered="feed_staleness_limit"),
    evidence.re_enable("Console", WHOSE, actor="a.smith", reason="feed is back"),
    evidence.parameter_change(
        "Console", WHOSE, parameter="limit_ms", prior_value=500, new_value=0, actor="a.smith", approved_by="b.jones"
    ),
    evidence.parameter_change(
        "Deployer",
        WHOSE,
        parameter="version",
        prior_value="4.1",
        new_value="4.2",
        actor="a.smith",
        approved_by="b.jones",
        kind=EventType.CONFIGURATION_CHANGE,
    ),
    evidence.limit_breach("Exposure", WHOSE, rule_triggered="gross_exposure", limit=10, observed=11, unit="EUR"),
    evidence.order_rejected("Sizes", WHOSE, order_id="o-1", rule_triggered="max_volume", limit=10, observed=11),
]


@pytest.mark.parametrize("event", COMPLETE, ids=lambda event: str(event.event_type))
def test_what_the_helpers_make_lacks_nothing(event: RiskEvent) -> None:
    """Whoever uses them gets no warning."""
    assert missing(str(event.event_type), event.data, event.metadata) == ()


def test_every_requirement_has_a_helper() -> None:
    """What is asked for can be given."""
    assert {str(event.event_type) for event in COMPLETE} >= set(REQUIREMENTS)


def test_a_kill_switch_says_which_algorithm_trader_desk_and_client() -> None:
    """RTS 6 Art. 12(3), field by field."""
    event = evidence.kill_switch("Feed", WHOSE, rule_triggered="staleness", data={"max_staleness_ms": 5000})
    assert (event.event_type, event.priority, event.source) == (
        EventType.KILL_SWITCH,
        EventPriority.CRITICAL,
        "Feed",
    )
    assert event.data == {"max_staleness_ms": 5000}
    assert event.metadata == {
        "algorithm": "intraday-jules 4.2",
        "trader": "t.jules",
        "desk": "equities-eu",
        "client": "c-81",
        "actor": "Feed",
        "rule_triggered": "staleness",
    }


def test_an_override_says_what_held_before_and_what_holds_now() -> None:
    """A corrected value without the one before it is no evidence."""
    event = COMPLETE[2]
    assert event.data["prior_value"] == Decimal(1_000_000)
    assert event.data["new_value"] == Decimal(2_500_000)
    assert (event.metadata["actor"], event.metadata["approved_by"]) == ("a.smith", "b.jones")


def test_a_limit_breach_can_be_of_a_kind_of_its_own() -> None:
    """One helper for all figures above their limits."""
    event = evidence.limit_breach(
        "DrawdownMonitor",
        WHOSE,
        rule_triggered="max_drawdown",
        limit=1000,
        observed=1200,
        unit="EUR",
        kind=EventType.DRAWDOWN_LIMIT_BREACH,
        priority=EventPriority.CRITICAL,
        data={"peak": 5000},
    )
    assert event.event_type is EventType.DRAWDOWN_LIMIT_BREACH
    assert event.priority is EventPriority.CRITICAL
    assert event.data == {"limit": 1000, "observed": 1200, "unit": "EUR", "peak": 5000}


def test_a_kill_switch_whose_owner_nobody_knows_is_made_all_the_same() -> None:
    """Orders are pulled first; the record says what is missing."""
    event = evidence.kill_switch("Feed", evidence.Responsible(algorithm=""))
    assert missing("KILL_SWITCH", event.data, event.metadata) == (
        "algorithm",
        "trader or desk or client",
        "rule_triggered or reason",
    )


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_a_blank_field_is_a_missing_field(blank: Any) -> None:
    """A form that was not filled in."""
    event = COMPLETE[2]
    assert missing("OVERRIDE", event.data, event.metadata | {"approved_by": blank}) == ("approved_by",)


@pytest.mark.parametrize("value", [0, False, Decimal(0), []])
def test_a_value_of_nothing_is_a_value(value: Any) -> None:
    """A limit that was set to zero was set."""
    event = COMPLETE[2]
    assert missing("OVERRIDE", event.data | {"new_value": value}, event.metadata) == ()


def test_a_field_counts_wherever_it_stands() -> None:
    """Programs that came before these helpers put everything into the data."""
    event = COMPLETE[2]
    assert missing("OVERRIDE", event.data | event.metadata, {}) == ()


@pytest.mark.parametrize("payload", [None, 5, "text", [("algorithm", "x")]])
def test_a_payload_that_is_no_mapping_lacks_everything_and_breaks_nothing(payload: Any) -> None:
    """The check runs inside publish."""
    assert missing("RE_ENABLE", payload, payload) == ("algorithm", "actor", "reason")


def test_other_kinds_lack_nothing() -> None:
    """Nobody can say what belongs into a kind that a firm has made up."""
    assert missing("SPREAD_WIDENED", {}, {}) == ()
