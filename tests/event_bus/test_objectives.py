"""A latency objective that is missed is counted, logged and told, without a storm."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskbus import EventPriority, EventType, RiskEvent, RiskEventBus, SettingsError
from riskbus.bus import LatencyPath
from riskbus.bus.objectives import Breaches, objectives_ns
from riskbus.bus_settings import BusSettings
from riskbus.testing import Inbox

Open = Callable[..., RiskEventBus]
Make = Callable[..., RiskEvent]
Until = Callable[[Callable[[], object]], bool]
CRITICAL, HIGH, NORMAL, LOW = EventPriority
PUBLISH, HAND_OFF, HANDLER, DURABLE = LatencyPath
NEVER = 0.001  # microseconds: nothing is so quick


def test_missed_objectives_are_told_by_one_event_for_each_path(
    open_bus: Open, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Who is paged wants one page, with the figures in it."""
    bus = open_bus(latency_slo_us={NORMAL: NEVER})
    told = Inbox()
    bus.subscribe(EventType.LATENCY_SLO_BREACH, told)
    bus.subscribe(EventType.LIMIT_BREACH, lambda _: None, inline=True)
    for _ in range(100):
        bus.publish(make())
    assert told.wait_for(3)
    assert not bus.close(10)
    assert sorted(event.data["path"] for event in told.events) == ["hand_off", "handler", "publish"]
    assert {event.data["priority"] for event in told.events} == {"NORMAL"}
    assert all(
        event.data["count"] >= 1 and event.data["worst_us"] > event.data["objective_us"] for event in told.events
    )
    assert len([each for each in caplog.records if "Latency objective" in each.getMessage()]) == 3
    assert [bus.statistics().latencies[path, NORMAL].late for path in (PUBLISH, HAND_OFF, HANDLER)] == [100] * 3


def test_a_breach_never_causes_another(open_bus: Open, make: Make) -> None:
    """The event about a breach is late itself, and a bus that tells of that too would never stop."""
    bus = open_bus(latency_slo_us=dict.fromkeys(EventPriority, NEVER))
    told = Inbox()
    bus.subscribe(EventType.LATENCY_SLO_BREACH, told)
    bus.subscribe(EventType.LIMIT_BREACH, lambda _: None)
    bus.publish(make())
    assert told.wait_for(3)
    bus.publish(make(LOW))  # when this one is told of, the three above were looked at, too
    assert told.wait_for(6)
    assert not bus.close(10)
    assert len(told.events) == 6
    assert {event.data["priority"] for event in told.events} == {"NORMAL", "LOW"}
    assert bus.statistics().latencies[HAND_OFF, HIGH].late == 6, "they are late, and counted as such"


def test_breaches_of_queued_handlers_are_told_too(open_bus: Open, make: Make) -> None:
    """Hand-off is where queued handlers lose their time."""
    bus = open_bus(latency_slo_us={LOW: {HAND_OFF: NEVER}})
    told = Inbox()
    bus.subscribe(EventType.LATENCY_SLO_BREACH, told)
    bus.subscribe(EventType.LIMIT_BREACH, lambda _: None)
    bus.publish(make(LOW))
    assert told.wait_for(1)
    assert told.events[0].data["path"] == "hand_off"


def test_who_keeps_the_objective_hears_nothing(open_bus: Open, make: Make) -> None:
    """An alarm that cries without cause is switched off."""
    bus = open_bus(latency_slo_us=dict.fromkeys(EventPriority, 3_600_000_000))
    told = Inbox()
    bus.subscribe(EventType.LATENCY_SLO_BREACH, told)
    for _ in range(100):
        bus.publish(make())
    assert not bus.close(10)
    assert told.events == []


def test_the_counts_are_exact_with_many_threads(open_bus: Open, make: Make) -> None:
    """An objective of 99.99 % cannot be judged by samples."""
    bus = open_bus(latency_slo_us={NORMAL: NEVER})
    bus.subscribe(None, lambda _: None, inline=True)

    def publish_and_look() -> None:
        for _ in range(300):
            bus.publish(make())
            bus.statistics()

    publishers = [threading.Thread(target=publish_and_look) for _ in range(4)]
    for thread in publishers:
        thread.start()
    for thread in publishers:
        thread.join()
    statistics = bus.statistics()
    assert [statistics.latencies[path, NORMAL].late for path in (PUBLISH, HAND_OFF, HANDLER)] == [1_200] * 3
    assert statistics.published[NORMAL] == statistics.delivered[NORMAL] == 1_200


def test_what_was_told_is_not_told_again() -> None:
    """The next notice counts from the last one, and comes no sooner than after ten seconds."""
    breaches = Breaches()
    objectives = objectives_ns({LOW: 1})
    breaches.note(HANDLER, LOW, 5_000)
    breaches.note(HANDLER, LOW, 7_000)
    breaches.note(PUBLISH, LOW, 2_000)
    told = {breach.path: (breach.count, breach.worst_ns, breach.objective_ns) for breach in breaches.due(objectives)}
    assert told == {HANDLER: (2, 7_000, 1_000), PUBLISH: (1, 2_000, 1_000)}
    breaches.note(HANDLER, LOW, 6_000)
    assert breaches.due(objectives) == []


@pytest.mark.parametrize(
    "objectives",
    [{CRITICAL: 0}, {CRITICAL: "soon"}, {"URGENT": 50}, {CRITICAL: {HANDLER: -1}}, {CRITICAL: {"network": 5}}],
)
def test_wrong_objectives_are_refused(open_bus: Open, objectives: dict[Any, Any]) -> None:
    """Found when the program starts."""
    with pytest.raises(SettingsError, match="latency_slo_us"):
        open_bus(latency_slo_us=objectives)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CRITICAL=50", {CRITICAL: 50}),
        ("LOW.DURABLE=9000,HIGH=70", {LOW: {DURABLE: 9000}, HIGH: 70}),
        (
            "CRITICAL=50,CRITICAL.durable=9000,CRITICAL.HANDLER=40",
            {CRITICAL: {PUBLISH: 50, HAND_OFF: 50, HANDLER: 40, DURABLE: 9000}},
        ),
    ],
)
def test_objectives_of_single_paths_come_from_the_environment_too(text: str, expected: object) -> None:
    """A pod's environment has text only."""
    assert BusSettings.from_environment(latency_slo_us=text).latency_slo_us == expected


def test_one_number_is_for_what_the_process_does_itself() -> None:
    """Fifty microseconds are a fair objective for a handler, and none for a disk."""
    table = objectives_ns({CRITICAL: 50, LOW: {DURABLE: 20_000}})
    assert [table[path][CRITICAL] for path in (PUBLISH, HAND_OFF, HANDLER)] == [50_000] * 3
    assert table[DURABLE][CRITICAL] > 10**18
    assert table[DURABLE][LOW] == 20_000_000


def test_every_record_is_measured_until_it_is_durable(open_bus: Open, make: Make) -> None:
    """Each one, of all threads: what is on its way in a hung volume is what an objective is for."""
    bus = open_bus()
    publishers = [
        threading.Thread(target=lambda: [bus.publish(make(EventPriority(number % 4))) for number in range(400)])
        for _ in range(4)
    ]
    for thread in publishers:
        thread.start()
    for thread in publishers:
        thread.join()
    assert not bus.close(10)
    latencies = bus.statistics().latencies
    assert [latencies[DURABLE, priority].count for priority in EventPriority] == [400] * 4
    assert all(latencies[DURABLE, priority].total_ns > 0 for priority in EventPriority)


def test_a_missed_objective_of_durability_is_told_and_causes_no_other(open_bus: Open, make: Make) -> None:
    """The notice is a record too, and becomes durable as late as the one it tells of."""
    bus = open_bus(latency_slo_us={priority: {DURABLE: NEVER} for priority in EventPriority})
    told = Inbox()
    bus.subscribe(EventType.LATENCY_SLO_BREACH, told)
    assert bus.publish(make()).wait_durable(10)
    assert told.wait_for(1)
    assert not bus.close(10)
    assert [(event.data["path"], event.data["priority"]) for event in told.events] == [("durable", "NORMAL")]
    assert bus.statistics().latencies[DURABLE, NORMAL].late == 1
    assert bus.statistics().latencies[DURABLE, HIGH].count == 0


def test_a_log_that_never_syncs_is_not_made_to(open_bus: Open, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who chose durability `os` chose not to wait for the disk; measuring must not change that."""
    monkeypatch.setenv("RISK_AUDIT_DURABILITY", "os")
    bus = open_bus()
    bus.publish(make())
    assert not bus.close(10)
    assert bus.statistics().latencies[DURABLE, NORMAL].count == 0


def test_what_the_volume_refuses_is_measured_when_it_is_durable_and_not_before(
    open_bus: Open, make: Make, tmp_path: Path
) -> None:
    """An outage is the worst latency there is; it must not fall out of the figures."""
    blocker = tmp_path / "blocker"
    blocker.write_text("a file where the directory should be")
    bus = open_bus(audit_log_path=blocker / "risk_audit.jsonl")
    receipt = bus.publish(make())
    assert not receipt.wait_durable(0.05)
    assert bus.statistics().latencies[DURABLE, NORMAL].count == 0
    blocker.unlink()
    assert receipt.wait_durable(20)
    assert not bus.close(10)
    latency = bus.statistics().latencies[DURABLE, NORMAL]
    assert (latency.count, latency.total_ns >= 50_000_000) == (1, True)
