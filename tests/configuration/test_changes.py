"""Settings change while the bus runs: no restart, no lost event, and a record of each change."""

import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from riskbus import AuditLog, ClosedError, EventPriority, EventType, RiskEvent, RiskEventBus, SettingsError
from riskbus.bus_settings import BusSettings
from riskbus.configuration import CHANGEABLE, WHY_NOT, changed
from riskbus.store.stream import list_segments
from riskbus.testing import Inbox, read_events, read_records

Open = Callable[..., RiskEventBus]
Until = Callable[[Callable[[], object]], bool]
Metric = Callable[[str], float]
Changes = Callable[[RiskEventBus], list[dict[str, Any]]]


def event(number: int = 0) -> RiskEvent:
    """An event to publish."""
    return RiskEvent("LIMIT_BREACH", EventPriority.HIGH, "tests", data={"number": number})


def late(bus: RiskEventBus) -> int:
    """How many publishes of HIGH were above their objective."""
    found = bus.statistics().latencies
    return sum(figures.late for (_, priority), figures in found.items() if priority is EventPriority.HIGH)


def test_an_objective_changes_at_once(open_bus: Open) -> None:
    """It is tuned against what production shows."""
    bus = open_bus(latency_slo_us={EventPriority.HIGH: 1e9})
    bus.publish(event())
    assert late(bus) == 0
    now = bus.reconfigure(latency_slo_us={"HIGH": 0.001})
    assert now.latency_slo_us == bus.settings.latency_slo_us == {EventPriority.HIGH: 0.001}
    bus.publish(event())
    assert late(bus) == 1


def test_what_is_recorded_of_handlers_changes_at_once(open_bus: Open, path: Path) -> None:
    """Everything while a problem is looked for, less on a normal day."""
    bus = open_bus(record_outcomes=[])
    bus.subscribe(None, Inbox(), inline=True, name="desk")
    bus.publish(event(1))
    bus.reconfigure(record_outcomes=["HIGH"])
    bus.publish(event(2))
    bus.reconfigure(record_outcomes="")
    bus.publish(event(3))
    assert bus.audit_log.flush(10)
    kinds = [record["event_type"] for record in read_records(path)]
    assert [kind for kind in kinds if not kind.startswith("AUDIT_")] == [
        "LIMIT_BREACH",
        "LIMIT_BREACH",
        EventType.HANDLER_OUTCOME,
        "LIMIT_BREACH",
    ]


def test_how_much_may_wait_for_a_volume_that_is_gone_changes_at_once(
    open_bus: Open, monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    """Who sees that it will take long gives the evidence more memory, and trading less; or the other way round."""
    monkeypatch.setenv("RISK_AUDIT_STAGING_SIZE", "64Ki")
    path.parent.write_text("a file where the directory should be")
    bus = open_bus(record_outcomes=[])
    assert [bus.publish(event()).seq for _ in range(100)][-1] > 64
    bus.reconfigure(staging_overflow=0)
    assert [bus.publish(event()).seq for _ in range(2)][-1] == -1
    bus.reconfigure(staging_overflow="64Mi")
    assert [bus.publish(event()).seq for _ in range(2)][-1] > 0


@pytest.mark.parametrize("writer", ["thread", "process"])
def test_the_log_begins_segments_as_it_is_told_now(
    open_bus: Open, monkeypatch: pytest.MonkeyPatch, path: Path, until: Until, writer: str
) -> None:
    """Whatever its writer runs in; and every record is there once."""
    monkeypatch.setenv("RISK_AUDIT_WRITER", writer)
    bus = open_bus(record_outcomes=[])
    numbers = count()

    def publish_and_count_segments() -> int:
        for _ in range(200):
            bus.publish(
                RiskEvent("LIMIT_BREACH", EventPriority.LOW, "tests", data={"n": next(numbers), "x": "x" * 500})
            )
        assert bus.audit_log.flush(20)
        return len(list_segments(path.parent))

    assert publish_and_count_segments() == 1
    bus.reconfigure(rotation_max_size="64Ki", rotation_max_age="1h")
    assert until(lambda: publish_and_count_segments() >= 3)
    assert [record["data"]["n"] for record in read_events(path)] == list(range(next(numbers)))


def test_the_log_syncs_as_it_is_told_now(open_bus: Open, path: Path, metric: Metric, until: Until) -> None:
    """With durability `group` each batch, with `os` once in a while."""
    bus = open_bus(enable_latency_monitoring=False, record_outcomes=[])
    written = f'audit_written_bytes_total{{path="{path}"}}'

    def syncs_of_twenty_batches() -> float:
        before = metric(f'audit_sync_duration_seconds_count{{path="{path}"}}')
        for _ in range(20):
            bytes_before = metric(written)
            bus.publish(event())
            assert until(lambda: metric(written) > bytes_before)  # noqa: B023 -- called in this round only
        return metric(f'audit_sync_duration_seconds_count{{path="{path}"}}') - before

    assert syncs_of_twenty_batches() >= 15
    bus.reconfigure(durability="os")
    assert until(lambda: syncs_of_twenty_batches() < 10)
    bus.reconfigure(durability="Group")
    assert until(lambda: syncs_of_twenty_batches() >= 15)


def test_who_is_a_slow_subscriber_changes_at_once(open_bus: Open, until: Until) -> None:
    """A handler that was known to be slow, and that now must not be."""
    bus = open_bus(slow_subscriber_seconds=3600)
    hangs = Inbox(held=True)
    bus.subscribe("LIMIT_BREACH", hangs, name="slow")
    bus.publish(event())
    assert hangs.wait_for(1)
    bus.reconfigure(slow_subscriber_seconds=0.001)
    assert until(lambda: bus.statistics().subscriptions[0].quarantined)
    hangs.release()


def test_more_workers_take_over_at_once_from_those_that_hang(open_bus: Open) -> None:
    """It is found out in trading hours that two are too few, and nobody wants to restart then."""
    bus = open_bus(max_workers=2)
    hangs, waits = Inbox(held=True), Inbox()
    bus.subscribe("LIMIT_BREACH", hangs)
    bus.publish(event())
    assert hangs.wait_for(1)
    bus.subscribe("LIMIT_BREACH", waits)
    bus.publish(event())
    assert not waits.wait_for(1, timeout=0.3)
    bus.reconfigure(max_workers=3)
    assert waits.wait_for(1)
    hangs.release()


def test_workers_that_are_too_many_end_and_the_others_go_on(open_bus: Open, until: Until) -> None:
    """Nothing is lost or out of order on the way, and what was taken away comes back when it is granted again."""
    bus = open_bus(max_workers=6)
    for round_ in range(1, 4):
        hangs = [Inbox(held=True) for _ in range(5)]
        subscriptions = [bus.subscribe("LIMIT_BREACH", inbox) for inbox in hangs]
        bus.publish(event())
        assert all(inbox.wait_for(1) for inbox in hangs)
        before = workers()
        assert len(before) == 5
        for count_ in (3, 4, 2, 2):
            bus.reconfigure(max_workers=count_)
        numbers = range(200 * round_)
        for number in numbers:
            bus.publish(event(number))
        for inbox in hangs:
            inbox.release()
        assert all(inbox.wait_for(1 + len(numbers)) for inbox in hangs)
        assert [[each.data["number"] for each in inbox.events] for inbox in hangs] == [[0, *numbers]] * 5
        assert until(lambda: len(workers()) == 1)
        assert workers() < before
        for subscription in subscriptions:
            bus.unsubscribe(subscription)
        bus.reconfigure(max_workers=6)


def workers() -> set[str]:
    """The threads that serve other than CRITICAL events."""
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("riskbus-worker-")}


def test_a_change_is_a_record_with_before_and_after(open_bus: Open, changes: Changes) -> None:
    """RTS 6 Art. 5(7): what, when, by whom, approved by whom."""
    bus = open_bus(latency_slo_us={EventPriority.HIGH: 500})
    bus.reconfigure(
        latency_slo_us={EventPriority.CRITICAL: 50}, actor="a.smith", approved_by="b.jones", reason="ticket 7"
    )
    (change,) = changes(bus)
    assert change.pop("configuration_sha256")
    assert change == {
        "origin": "reconfigure()",
        "changes": {"latency_slo_us": {"before": {"HIGH": 500.0}, "after": {"CRITICAL": 50.0}}},
        "actor": "a.smith",
        "approved_by": "b.jones",
        "reason": "ticket 7",
    }


def test_a_record_has_the_hash_of_what_holds_from_there_on(open_bus: Open, changes: Changes, path: Path) -> None:
    """Back to where it was is the hash of AUDIT_OPEN again."""
    bus = open_bus()
    bus.reconfigure(latency_slo_us={"HIGH": 7})
    bus.reconfigure(latency_slo_us={})
    first, second = changes(bus)
    opened = read_records(path)[0]["data"]["configuration_sha256"]
    assert first["configuration_sha256"] != opened
    assert second["configuration_sha256"] == opened


def test_a_change_that_changes_nothing_leaves_no_record(open_bus: Open, changes: Changes) -> None:
    """A log of what happened, not of what was said."""
    bus = open_bus(max_workers=4, latency_slo_us={EventPriority.HIGH: 500})
    bus.reconfigure(latency_slo_us="HIGH=500", report="auto")
    assert changes(bus) == []
    assert bus.statistics().configuration.changes == 0


@pytest.mark.parametrize(
    ("values", "messages"),
    [
        ({"staging_size": "1Mi"}, ["argument staging_size=", "cannot change", "records on their way", "restart"]),
        ({"path": "/elsewhere/log.jsonl"}, ["argument path", "the log's place is chosen when it starts"]),
        ({"report": "off"}, ["argument report='off' cannot change", "it is used once, at the start"]),
        ({"latency_slo_us": {"HIGH": 0}}, ["argument latency_slo_us", "positive number"]),
        ({"latency_slo_us": {"HIGH": 1e306}, "max_workers": 3}, ["argument latency_slo_us", "at most"]),
        ({"slow_subscriber_seconds": 1e300, "max_workers": 3}, ["argument slow_subscriber_seconds='1e+300' is wrong"]),
        ({"no_such": 1}, ["argument no_such='1' is wrong: there is no setting of this name"]),
        ({"latency_slo_us": {"HIGH": 1}, "stream": "x"}, ["argument stream='x' cannot change"]),
    ],
)
def test_what_cannot_change_is_refused_by_name_with_the_reason_and_nothing_else_changes(
    open_bus: Open, changes: Changes, values: dict[str, Any], messages: list[str]
) -> None:
    """Half a change is a configuration that nobody asked for."""
    bus = open_bus()
    before = bus.settings
    with pytest.raises(SettingsError) as refused:
        bus.reconfigure(**values)
    assert [message for message in messages if message not in str(refused.value)] == []
    assert bus.settings == before
    assert changes(bus) == []


@pytest.mark.parametrize("name", sorted(set(BusSettings.model_fields) - CHANGEABLE))
def test_every_setting_can_change_or_says_why_not(name: str) -> None:
    """The list is complete whatever is added."""
    odd: dict[str, Any] = {name: object()}
    other = BusSettings.model_construct(**odd)
    with pytest.raises(SettingsError, match=f"{name}=.*cannot change while the process runs, as "):
        changed(other, {name: BusSettings.model_fields[name].get_default(call_default_factory=True)}, {name: name})


def test_the_reasons_are_of_settings_that_exist() -> None:
    """A renamed setting must not lose its reason in silence."""
    assert set(WHY_NOT) | CHANGEABLE <= set(BusSettings.model_fields)
    assert not set(WHY_NOT) & CHANGEABLE


def test_no_event_is_lost_or_repeated_while_settings_change(open_bus: Open, path: Path, changes: Changes) -> None:
    """The promise that makes it safe to do in trading hours."""
    bus = open_bus()
    done = threading.Event()
    published: list[int] = []

    def publish() -> None:
        while not done.is_set() or len(published) < 2000:
            bus.publish(event(len(published)))
            published.append(len(published))

    publisher = threading.Thread(target=publish)
    publisher.start()
    for step in range(50):
        bus.reconfigure(latency_slo_us={"HIGH": step + 1})
    done.set()
    publisher.join()
    assert len(changes(bus)) == 50
    assert [record["data"]["number"] for record in read_events(path)] == published


def test_a_handler_may_change_settings(open_bus: Open) -> None:
    """A controller that reacts to events is a handler."""
    bus = open_bus()
    bus.subscribe("LIMIT_BREACH", lambda _: bus.reconfigure(latency_slo_us={"LOW": 9}), inline=True)
    bus.publish(event())
    assert bus.settings.latency_slo_us == {EventPriority.LOW: 9.0}


def test_a_log_of_the_callers_own_records_the_change_and_keeps_its_settings(open_bus: Open, path: Path) -> None:
    """What it has no setting for is not its business."""
    with AuditLog(path) as log:
        before = vars(log.settings)
        open_bus(audit_log=log, audit_log_path=None).reconfigure(latency_slo_us={"HIGH": 7})
        assert vars(log.settings) == before
        assert log.flush(10)
    assert [record["event_type"] for record in read_records(path)].count("AUDIT_CONFIG") == 1


def test_a_closed_bus_changes_no_more(open_bus: Open) -> None:
    """Like every use after close: a clear error."""
    bus = open_bus()
    bus.close()
    with pytest.raises(ClosedError, match="settings change no more"):
        bus.reconfigure(latency_slo_us={})
