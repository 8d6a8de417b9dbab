"""What append promises its caller: a receipt, at once, whatever the event holds."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from riskbus.errors import SettingsError
from riskbus.events import EventPriority, RiskEvent
from riskbus.format.record import FIELDS
from riskbus.runtime import AuditLog
from riskbus.store.verification import VolumeReport
from tests.waiting import within

Open = Callable[..., AuditLog]
Event = Callable[..., RiskEvent]
Read = Callable[[], list[dict[str, Any]]]


def test_an_event_becomes_one_line_of_nine_fields_and_the_hash(open_log: Open, event: Event, events: Read) -> None:
    """Auditors' tools read these names in this order."""
    happened = event(EventPriority.HIGH, limit=3000)
    assert open_log().append(happened).wait_durable(30)
    (record,) = events()
    assert tuple(record) == (*FIELDS, "hash")
    assert record["event_id"] == happened.event_id
    assert record["event_type"] == "LIMIT_BREACH"
    assert record["priority"] == "HIGH"
    assert record["source"] == "PositionLimits"
    assert record["data"] == {"limit": 3000}
    assert record["metadata"] == {"desk": "intraday"}
    assert record["timestamp_ns"] == happened.timestamp_ns


def test_an_incarnation_begins_with_open_and_ends_with_close_and_a_checkpoint(
    open_log: Open, event: Event, read: Read, verify: Callable[[], VolumeReport]
) -> None:
    """A log that ended in order can be told from one that was cut off."""
    log = open_log()
    log.append(event())
    assert log.close() == ()
    kinds = [record["event_type"] for record in read()]
    assert kinds[0] == "AUDIT_OPEN"
    assert kinds[-2:] == ["AUDIT_CLOSE", "AUDIT_CHECKPOINT"]
    assert [record["seq"] for record in read()] == list(range(len(kinds)))
    assert verify().worst is None


@pytest.mark.parametrize("durability", ["os", "group", "sync"])
def test_the_seal_of_the_first_record_precedes_every_event(
    open_log: Open, event: Event, read: Read, verify: Callable[[], VolumeReport], durability: str
) -> None:
    """Whenever the process is killed, what it wrote can be proved to be its own: events that came first wait."""
    log = open_log(durability=durability)
    receipts = [log.append(event(number=number)) for number in range(20)]
    assert receipts[-1].wait_durable(30)
    kinds = [record["event_type"] for record in read()]
    assert kinds[:3] == ["AUDIT_OPEN", "AUDIT_CHECKPOINT", "LIMIT_BREACH"]
    assert verify().worst is None


def test_the_receipt_names_the_record(open_log: Open, event: Event, events: Read) -> None:
    """A caller can point an auditor to the very line."""
    log = open_log()
    receipts = [log.append(event(number=number)) for number in range(20)]
    assert receipts[-1].wait_durable(30)
    assert all(receipt.durable for receipt in receipts)
    assert {record["seq"]: record["data"]["number"] for record in events()} == {
        receipt.seq: number for number, receipt in enumerate(receipts)
    }


def test_records_of_every_length_arrive_whole(open_log: Open, event: Event, events: Read) -> None:
    """They are staged in a slot, in a slot and its annex, or in a file beside the ring."""
    log = open_log()
    texts = ["x" * length for length in range(100, 1100)]
    for text in texts:
        log.append(event(text=text))
    assert log.flush(30)
    assert [record["data"]["text"] for record in events()] == texts


@pytest.mark.parametrize("durability", ["os", "group", "sync"])
def test_every_durability_ends_with_a_durable_record(open_log: Open, event: Event, durability: str) -> None:
    """The settings differ in when, never in whether."""
    assert open_log(durability=durability).append(event()).wait_durable(30)


def test_a_receipt_can_be_awaited_while_the_loop_goes_on(open_log: Open, event: Event) -> None:
    """Asynchronous traders must not stall on the disk."""
    log = open_log()

    async def trade() -> bool:
        turned = asyncio.Event()
        asyncio.get_running_loop().call_soon(turned.set)
        durable = await log.append(event())
        await turned.wait()
        return durable

    assert asyncio.run(trade())


def test_a_receipt_that_never_settles_times_out(open_log: Open, event: Event, tmp_path: Path) -> None:
    """Waiting is bounded, and False means not durable."""
    (tmp_path / "file").touch()
    log = open_log(path=tmp_path / "file" / "risk_audit.jsonl")
    receipt = log.append(event())
    assert not receipt.wait_durable(0.05)
    assert not receipt.durable


@pytest.mark.parametrize("timeout", [float("inf"), 1e300, threading.TIMEOUT_MAX])
def test_a_wait_may_be_as_long_as_one_likes(open_log: Open, event: Event, timeout: float) -> None:
    """Who has no limit says infinity, which no clock of the platform can count."""
    log = open_log()
    assert log.append(event()).wait_durable(timeout)
    log.append(event())
    assert log.flush(timeout)
    assert log.wait_ready(timeout)
    log.append(event())
    assert log.close(timeout) == ()


@pytest.mark.parametrize("timeout", [-1, -1e300, float("-inf")])
def test_a_wait_without_any_time_left_is_over_at_once(
    open_log: Open, event: Event, tmp_path: Path, timeout: float
) -> None:
    """What is left of a deadline may be less than nothing."""
    (tmp_path / "file").touch()
    log = open_log(path=tmp_path / "file" / "risk_audit.jsonl")
    assert not log.append(event()).wait_durable(timeout)
    assert not log.flush(timeout)
    assert [json.loads(record)["event_type"] for record in log.close(timeout)].count("LIMIT_BREACH") == 1


@pytest.mark.parametrize("timeout", [float("nan"), "5"])
def test_a_time_that_is_no_number_is_refused_and_the_log_goes_on(open_log: Open, event: Event, timeout: Any) -> None:
    """Whether the record is durable by then or not: a mistake must not show on a slow day only."""
    log = open_log()
    receipt = log.append(event())
    assert receipt.wait_durable(30)
    for wait in (receipt.wait_durable, log.flush, log.close):
        with pytest.raises(SettingsError, match=r"timeout is .*; give a number of seconds"):
            wait(timeout)
    assert log.append(event()).wait_durable(30)


def test_threads_write_every_record_once_and_each_in_its_order(open_log: Open, event: Event, events: Read) -> None:
    """Eight publishers at once lose, repeat and reorder nothing."""
    log = open_log()

    def publish(thread: int) -> None:
        for number in range(500):
            log.append(event(thread=thread, number=number))

    threads = [threading.Thread(target=publish, args=[thread]) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.flush(30)
    seen: dict[int, list[int]] = {}
    for record in events():
        seen.setdefault(record["data"]["thread"], []).append(record["data"]["number"])
    assert seen == {thread: list(range(500)) for thread in range(8)}


def test_a_signal_handler_may_append_at_any_moment(open_log: Open, event: Event, events: Read) -> None:
    """Kill switches are often signals, and they interrupt append itself."""
    log = open_log()
    handled = 0

    def handle(*_: object) -> None:
        nonlocal handled
        handled += 1
        log.append(event(EventPriority.CRITICAL, origin="signal"))

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        published = 0
        while handled < 50:
            log.append(event(origin="loop"))
            published += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert log.flush(30)
    origins = [record["data"]["origin"] for record in events()]
    assert origins.count("signal") == handled
    assert origins.count("loop") == published


class InterruptedOnce:
    """An object whose text cannot be made the first time: the user pressed Ctrl-C."""

    def __init__(self) -> None:
        self.interrupted = False

    def __repr__(self) -> str:
        if not self.interrupted:
            self.interrupted = True
            raise KeyboardInterrupt
        return "<the object>"


def test_an_interrupted_append_leaves_no_hole(open_log: Open, event: Event, events: Read) -> None:
    """A number that was claimed is always used, or everything after it would wait."""
    log = open_log()
    with pytest.raises(KeyboardInterrupt):
        log.append(event(thing=InterruptedOnce()))
    assert log.append(event(thing="next")).wait_durable(30)
    assert [record["data"]["thing"] for record in events()] == ["<the object>", "next"]


class Hostile:
    """An object whose text cannot be made at all."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_what_json_does_not_know_is_recorded_as_text(open_log: Open, event: Event, events: Read) -> None:
    """The decision is evidence even if its payload was careless."""
    log = open_log()
    cyclic: dict[str, Any] = {"a": 1}
    cyclic["self"] = cyclic
    log.append(event(price=Decimal("1.10"), venues={"XETR"}, thing=Hostile()))
    log.append(event(huge=1 << 70, keys={1: "one"}, surrogate="\ud800"))
    log.append(event(cyclic=cyclic))
    assert log.flush(30)
    first, second, third = (record["data"] for record in events())
    assert first == {"price": "1.10", "venues": ["XETR"], "thing": "<Hostile: repr() raised RuntimeError>"}
    assert second == {"huge": str(1 << 70), "keys": {"1": "one"}, "surrogate": "\\ud800"}
    assert third["cyclic"]["a"] == 1


def test_a_payload_that_is_too_large_is_replaced_by_size_and_hash(open_log: Open, event: Event, events: Read) -> None:
    """One careless event must not fill the volume, and its record must not vanish."""
    log = open_log()
    log.append(event(book="x" * 100_000))
    assert log.flush(30)
    (record,) = events()
    assert record["data"]["audit_omitted"] == "too large"
    assert record["data"]["bytes"] == len(json.dumps({"book": "x" * 100_000}, separators=(",", ":")))
    assert record["metadata"] == {"desk": "intraday"}


def test_long_events_leave_nothing_in_shared_memory_when_they_are_durable(
    open_log: Open, event: Event, shared_memory: Path
) -> None:
    """It counts against the memory of the pod: a file for each would end it some day."""
    log = open_log()
    for number in range(50):
        receipt = log.append(event(number=number, book="x" * 5000))
    assert receipt.wait_durable(30)
    within(10, lambda: len(list(shared_memory.iterdir())) == 1)  # a moment after the last receipts are settled
    assert [path.suffix for path in shared_memory.iterdir()] == [".ring"]


def test_after_close_an_event_goes_to_the_emergency_stream(path: Path) -> None:
    """Shutdown order must not lose a kill switch without a trace."""
    program = f"""
from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog
log = AuditLog({str(path)!r})
log.close()
receipt = log.append(RiskEvent(EventType.KILL_SWITCH, EventPriority.CRITICAL, "test", {{"late": True}}))
assert (receipt.seq, receipt.durable, receipt.wait_durable(1), log.status().lost_events) == (-1, False, False, 1)
log.close()
"""
    ended = subprocess.run([sys.executable, "-c", program], check=True, timeout=60, stdout=subprocess.PIPE, text=True)
    (line,) = (line for line in ended.stdout.splitlines() if line.startswith("AUDIT_EMERGENCY "))
    assert json.loads(json.loads(line.removeprefix("AUDIT_EMERGENCY "))["record"])["data"] == {"late": True}


def test_events_after_close_leave_no_thread_and_no_descriptor_behind(path: Path) -> None:
    """A program may open and close many logs in its life, and its last events often come a moment too late."""
    program = f"""
import threading
from pathlib import Path
from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog
log = AuditLog({str(path)!r})
log.close()
before = len(list(Path("/proc/self/fd").iterdir()))
for number in range(3):
    log.append(RiskEvent(EventType.KILL_SWITCH, EventPriority.CRITICAL, "test", {{"late": number}}))
    for thread in threading.enumerate()[1:]:
        thread.join(10)
        assert not thread.is_alive(), thread
assert len(list(Path("/proc/self/fd").iterdir())) == before
"""
    ended = subprocess.run([sys.executable, "-c", program], check=True, timeout=60, stdout=subprocess.PIPE, text=True)
    assert [line.partition(" ")[0] for line in ended.stdout.splitlines()].count("AUDIT_EMERGENCY") == 3


def test_close_returns_what_is_not_durable(open_log: Open, event: Event, tmp_path: Path) -> None:
    """The caller can still put it somewhere else."""
    (tmp_path / "file").touch()
    log = open_log(path=tmp_path / "file" / "risk_audit.jsonl")
    log.append(event(number=1))
    log.append(event(number=2))
    left = [json.loads(record) for record in log.close(timeout=0.3)]
    assert [record["data"] for record in left if record["event_type"] == "LIMIT_BREACH"] == [
        {"number": 1},
        {"number": 2},
    ]
    assert log.close() == log.close()


def test_a_process_that_ends_without_close_flushes(path: Path, events: Read) -> None:
    """Programs forget; the interpreter's exit does not."""
    program = f"""
from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog
log = AuditLog({str(path)!r})
for number in range(1000):
    log.append(RiskEvent(EventType.THROTTLE, EventPriority.LOW, "test", {{"number": number}}))
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, stdout=subprocess.DEVNULL)
    assert [record["data"]["number"] for record in events()] == list(range(1000))


def test_a_source_or_identifier_that_is_no_text_becomes_one(open_log: Open, event: Event, events: Read) -> None:
    """Verifiers take a record whose source is no text for damage, and it would be the log's own."""
    odd = RiskEvent("OWN", EventPriority.LOW, None, event_id=5)  # type: ignore[arg-type]  # a careless caller
    changed = event()
    changed.source, changed.event_id = 5, None  # type: ignore[assignment]  # another one
    log = open_log()
    log.append(odd)
    assert log.append(changed).wait_durable(30)
    assert [(record["source"], record["event_id"]) for record in events()] == [("None", "5"), ("5", "None")]
