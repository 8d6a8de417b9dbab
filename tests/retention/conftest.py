"""Logs of several incarnations and segments, and the time at which they are old."""

import os
from collections.abc import Callable
from pathlib import Path
from time import time_ns
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from riskbus.clock import ClockStatus
from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.format.anchors import Anchor
from riskbus.format.checkpoint import Signer
from riskbus.format.merkle import Tree
from riskbus.format.names import SegmentName
from riskbus.format.output import ANCHOR
from riskbus.format.record import dumps, encode_control, leaf_hash, to_line, with_number
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings
from riskbus.stamps import uuid7
from riskbus.store.retention import Rules
from riskbus.store.stream import list_segments
from riskbus.store.verification import VolumeReport, verify_tree
from tests.agreement.conftest import comparable, first_verdict, second_verdict
from tests.conftest import CloseAtEnd

DAY_NS = 24 * 3600 * 10**9
KEPT = ClockStatus(synchronized=True, estimated_error_us=10, max_error_us=100)


@pytest.fixture
def open_log(shared_memory: Path, path: Path, close_at_end: CloseAtEnd) -> Callable[..., AuditLog]:
    """Open a log with segments of 64 KiB; it is closed at the end."""

    def open_one(**settings: Any) -> AuditLog:
        given = {"path": path, "staging_dir": shared_memory, "rotation_max_size": 64 << 10} | settings
        return close_at_end(AuditLog(settings=AuditSettings(**given), registry=CollectorRegistry()))

    return open_one


@pytest.fixture
def append() -> Callable[[AuditLog, int], None]:
    """Append so many events, in batches that fill segments."""

    def run(log: AuditLog, count: int) -> None:
        for number in range(count):
            data = {"number": number, "padding": "x" * 200}
            receipt = log.append(RiskEvent(EventType.THROTTLE, EventPriority.LOW, "test", data))
            if number % 50 == 49:
                assert receipt.wait_durable(10)

    return run


@pytest.fixture
def two(open_log: Callable[..., AuditLog], append: Callable[[AuditLog, int], None], path: Path) -> Path:
    """A directory with two finished incarnations of several segments each."""
    for _ in range(2):
        log = open_log()
        append(log, 600)
        assert log.close(10) == ()
    assert len(list_segments(path.parent)) >= 6
    return path.parent


@pytest.fixture
def ancient(path: Path) -> Path:
    """A directory with an incarnation that ended five and a half years ago, in six segments of ten records each."""
    started = time_ns() - 2000 * DAY_NS
    incarnation = uuid7(started).replace("-", "")
    signer, tree = Signer(f"trading/audit/{incarnation}"), Tree()
    path.parent.mkdir()
    for n in range(6):
        segment = path.parent / str(SegmentName(path.stem, incarnation, n, tree.size))
        with segment.open("wb") as file:
            for seq in range(tree.size, tree.size + 10):
                kind: str = "AUDIT_MOUNT"
                data: dict[str, Any] = {}
                if seq == 0:
                    key, name = signer.verifier_key, "trading/audit"
                    kind = "AUDIT_OPEN"
                    data = {"format_version": 1, "stream": name, "incarnation": incarnation, "public_key": key}
                    data["previous"] = []
                elif seq == tree.size and seq % 10 == 9:
                    kind, data = "AUDIT_CHECKPOINT", {"note": signer.sign(tree.size, tree.root()).note}
                record = with_number(seq, encode_control(kind, data, uuid7(started), started + seq))
                tree.append(leaf_hash(record))
                file.write(to_line(record, leaf_hash(record)))
        os.utime(segment, ns=(started, started))
    return path.parent


@pytest.fixture
def rules() -> Callable[..., Rules]:
    """Keep segments for ten days; it is so many days later."""

    def make(days_later: float = 11, keep: int = 1, clock: ClockStatus = KEPT) -> Rules:
        return Rules(10, keep, time_ns() + int(days_later * DAY_NS), clock)

    return make


@pytest.fixture
def verify(path: Path) -> Callable[..., VolumeReport]:
    """Verify the directory with both verifiers, which must agree."""

    def run(*anchors: Anchor) -> VolumeReport:
        notes = b"".join(
            ANCHOR + dumps({"key": anchor.key, "note": anchor.checkpoint.note}) + b"\n" for anchor in anchors
        )
        first, second = (verdict(path.parent, notes) for verdict in (first_verdict, second_verdict))
        assert comparable(first) == comparable(second)
        return verify_tree(path.parent, list(anchors), lambda _: None)

    return run
