"""Seals: signed, in the log, and repeated where the volume's owner cannot rewrite them."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from riskbus.events import RiskEvent
from riskbus.format import checkpoint
from riskbus.runtime import AuditLog, Checkpoint

Open = Callable[..., AuditLog]
Event = Callable[..., RiskEvent]
Read = Callable[[], list[dict[str, Any]]]


def test_the_newest_checkpoint_is_offered_to_the_callback_and_in_the_status(open_log: Open, event: Event) -> None:
    """The reporter carries it into the Kubernetes API."""
    seen: list[Checkpoint] = []
    arrived = threading.Event()

    def keep(sealed: Checkpoint) -> None:
        seen.append(sealed)
        if sealed.size > 1:
            arrived.set()

    log = open_log(on_checkpoint=keep)
    log.append(event())
    assert arrived.wait(10)
    status = log.status()
    assert checkpoint.verify(status.checkpoint, status.public_key).size >= seen[-1].size
    assert seen[-1].origin == f"{status.stream}/{status.incarnation}"


def test_a_checkpoint_never_covers_more_than_is_durable(open_log: Open, event: Event, read: Read) -> None:
    """An anchor over bytes that a power cut takes away would accuse the innocent."""
    log = open_log()
    for _ in range(100):
        log.append(event())
    log.close()
    for record in read():
        if record["event_type"] == "AUDIT_CHECKPOINT":
            assert checkpoint.parse(record["data"]["note"]).size <= record["seq"]


def test_checkpoints_appear_on_standard_output_with_their_key(
    open_log: Open, event: Event, capfd: pytest.CaptureFixture[str]
) -> None:
    """The container runtime's log is out of reach of whoever holds the volume."""
    log = open_log()
    log.append(event())
    log.close()
    lines = [line for line in capfd.readouterr().out.splitlines() if line.startswith("AUDIT_CHECKPOINT ")]
    last = json.loads(lines[-1].removeprefix("AUDIT_CHECKPOINT "))
    assert checkpoint.verify(last["note"], last["key"]).note == log.status().checkpoint


def test_every_incarnation_has_a_key_of_its_own(open_log: Open) -> None:
    """A key that is taken today forges nothing of yesterday."""
    first, second = open_log(), open_log()
    assert first.status().public_key != second.status().public_key


def test_a_callback_that_raises_stops_nothing(open_log: Open, event: Event) -> None:
    """A broken reporter must not break the log."""

    def refuse(_: Checkpoint) -> None:
        raise RuntimeError("no")

    log = open_log(on_checkpoint=refuse)
    assert log.append(event()).wait_durable(30)
    assert log.close() == ()
