"""Makes risk events whose evidence is complete.

An auditor asks of a risk decision who took it, for which algorithm, trader, desk and client, why, who approved it, and
what the value was before and after. These functions put the answers into fields that have one name everywhere (listed
in `docs/events.md`). An argument that is empty leaves its field out and raises nothing: a kill switch must not fail for
want of a desk's name. The bus warns of what is missing.

RTS 6 is Commission Delegated Regulation (EU) 2017/589. These fields help you meet it; they prove nothing by themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from riskbus.events import EventPriority, EventType, RiskEvent

__all__ = [
    "Responsible",
    "kill_switch",
    "kill_switch_reset",
    "limit_breach",
    "order_rejected",
    "override",
    "parameter_change",
    "re_enable",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Responsible:
    """Whose orders a decision is about. RTS 6 Art. 12(3) wants the algorithm, and a trader, a desk or a client.

    Attributes:
        algorithm: The trading algorithm, with its version.
        trader: The trader who is responsible for it.
        desk: The trading desk that is responsible for it.
        client: The client on whose behalf it trades.
    """

    algorithm: str
    trader: str = ""
    desk: str = ""
    client: str = ""


def kill_switch(  # noqa: PLR0913 -- every one is a field of the record
    source: str,
    whose: Responsible,
    *,
    rule_triggered: str = "",
    reason: str = "",
    actor: str = "",
    data: Mapping[str, Any] | None = None,
) -> RiskEvent:
    """Return a CRITICAL KILL_SWITCH: orders are pulled at once. RTS 6 Art. 12.

    Args:
        source: The component that decided.
        whose: Whose orders.
        rule_triggered: The rule that led to it, where a rule did.
        reason: Why, where a person pulled it.
        actor: That person; the source, if empty.
        data: The figures behind the decision.
    """
    said = _metadata(whose, actor=actor or source, reason=reason, rule_triggered=rule_triggered)
    return RiskEvent(EventType.KILL_SWITCH, EventPriority.CRITICAL, source, dict(data or {}), said)


def kill_switch_reset(  # noqa: PLR0913 -- every one is a field of the record
    source: str,
    whose: Responsible,
    *,
    rule_triggered: str = "",
    reason: str = "",
    actor: str = "",
    approved_by: str = "",
    data: Mapping[str, Any] | None = None,
) -> RiskEvent:
    """Return a HIGH KILL_SWITCH_RESET: trading may go on. RTS 6 Art. 12.

    Args:
        source: The component that decided.
        whose: Whose orders.
        rule_triggered: The rule that had led to the kill switch, where a rule did.
        reason: Why it is safe.
        actor: The person who reset it; the source, if empty.
        approved_by: Who approved it.
        data: The figures behind the decision.
    """
    said = _metadata(
        whose, actor=actor or source, approved_by=approved_by, reason=reason, rule_triggered=rule_triggered
    )
    return RiskEvent(EventType.KILL_SWITCH_RESET, EventPriority.HIGH, source, dict(data or {}), said)


def re_enable(source: str, whose: Responsible, *, actor: str, reason: str, approved_by: str = "") -> RiskEvent:
    """Return a HIGH RE_ENABLE: a designated person puts back to work what a control had disabled. RTS 6 Art. 15(3).

    Args:
        source: The component that records it.
        whose: What is enabled again.
        actor: The designated person.
        reason: Why it is safe.
        approved_by: Who else had to approve it.
    """
    said = _metadata(whose, actor=actor, approved_by=approved_by, reason=reason)
    return RiskEvent(EventType.RE_ENABLE, EventPriority.HIGH, source, {}, said)


def override(  # noqa: PLR0913 -- every one is a field of the record
    source: str,
    whose: Responsible,
    *,
    parameter: str,
    prior_value: object,
    new_value: object,
    actor: str,
    approved_by: str,
    reason: str,
) -> RiskEvent:
    """Return a HIGH OVERRIDE: something goes on although a control had blocked it. RTS 6 Art. 15(6).

    Args:
        source: The component that records it.
        whose: Whose order or limit.
        parameter: The control or limit that is overridden.
        prior_value: What it said, for example the limit, or "blocked".
        new_value: What holds instead.
        actor: Who overrides it.
        approved_by: The designated individual who authorised it.
        reason: The exceptional circumstances.
    """
    changed = {"parameter": parameter, "prior_value": prior_value, "new_value": new_value}
    said = _metadata(whose, actor=actor, approved_by=approved_by, reason=reason)
    return RiskEvent(EventType.OVERRIDE, EventPriority.HIGH, source, changed, said)


def limit_breach(  # noqa: PLR0913 -- every one is a field of the record
    source: str,
    whose: Responsible,
    *,
    rule_triggered: str,
    limit: object,
    observed: object,
    unit: str,
    kind: EventType = EventType.LIMIT_BREACH,
    priority: EventPriority = EventPriority.HIGH,
    data: Mapping[str, Any] | None = None,
) -> RiskEvent:
    """Return the breach of a limit, or whatever else a figure above its limit is called. RTS 6 Art. 15(1), 15(4), 16.

    Args:
        source: The component that found it.
        whose: Whose limit.
        rule_triggered: The limit's name.
        limit: The limit that applied.
        observed: The figure that was compared with it.
        unit: What both are counted in.
        kind: For example DRAWDOWN_LIMIT_BREACH or THROTTLE.
        priority: How urgent it is.
        data: Further figures.
    """
    figures = {"limit": limit, "observed": observed, "unit": unit, **(data or {})}
    return RiskEvent(kind, priority, source, figures, _metadata(whose, rule_triggered=rule_triggered))


def order_rejected(  # noqa: PLR0913 -- every one is a field of the record
    source: str, whose: Responsible, *, order_id: str, rule_triggered: str, limit: object, observed: object
) -> RiskEvent:
    """Return a NORMAL ORDER_REJECTED: a pre-trade control refused an order. RTS 6 Art. 15; 15c3-5(c)(1)(ii).

    Args:
        source: The control.
        whose: Whose order.
        order_id: The order.
        rule_triggered: The name of the limit that it exceeds.
        limit: The limit.
        observed: The figure that was compared with it.
    """
    figures = {"order_id": order_id, "limit": limit, "observed": observed}
    said = _metadata(whose, rule_triggered=rule_triggered)
    return RiskEvent(EventType.ORDER_REJECTED, EventPriority.NORMAL, source, figures, said)


def parameter_change(  # noqa: PLR0913 -- every one is a field of the record
    source: str,
    whose: Responsible,
    *,
    parameter: str,
    prior_value: object,
    new_value: object,
    actor: str,
    approved_by: str,
    reason: str = "",
    kind: EventType = EventType.PARAMETER_CHANGE,
) -> RiskEvent:
    """Return a HIGH PARAMETER_CHANGE, or CONFIGURATION_CHANGE: what, by whom, approved by whom. RTS 6 Art. 5(7).

    Args:
        source: The component that records it.
        whose: What the parameter belongs to.
        parameter: Its name.
        prior_value: Its value before.
        new_value: Its value afterwards.
        actor: Who changed it.
        approved_by: Who approved it.
        reason: Why.
        kind: CONFIGURATION_CHANGE for software and its configuration.
    """
    changed = {"parameter": parameter, "prior_value": prior_value, "new_value": new_value}
    said = _metadata(whose, actor=actor, approved_by=approved_by, reason=reason)
    return RiskEvent(kind, EventPriority.HIGH, source, changed, said)


def _metadata(whose: Responsible, **circumstances: str) -> dict[str, Any]:
    responsible = {
        "algorithm": whose.algorithm, "trader": whose.trader, "desk": whose.desk, "client": whose.client,
    }  # fmt: skip
    return {name: text for name, text in (responsible | circumstances).items() if text}
