"""`riskbus ingest` puts each record where it belongs, once, and refuses what cannot be true."""

import fcntl
import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from time import time_ns
from typing import Any

import pytest

from riskbus.events import RiskEvent
from riskbus.format.findings import Severity
from riskbus.format.output import emergency_lines
from riskbus.format.record import encode_control, encode_event, leaf_hash, to_line, with_number
from riskbus.runtime import AuditLog
from riskbus.store.stream import list_segments
from riskbus.store.verification import verify_tree

from .conftest import Log, make_event

Ingest = Callable[..., tuple[int, dict[str, Any]]]
Open = Callable[..., AuditLog]


def worst(log: Log) -> Severity | None:
    """Verify the directory."""
    return verify_tree(log.directory, [], lambda _: None).worst


def own_records(log: Log) -> list[dict[str, Any]]:
    """Return the records of the newest incarnation."""
    newest = max(name.incarnation for name in list_segments(log.directory))
    (name,) = [name for name in list_segments(log.directory) if name.incarnation == newest]
    return [json.loads(line) for line in (log.directory / str(name)).read_bytes().splitlines()]


def test_the_end_of_an_incarnation_is_put_back_where_it_was(ingest: Ingest, killed: Log) -> None:
    """Byte for byte, in a new segment, as its own writer would have."""
    before = killed.segment.read_bytes()
    first = killed.segment
    code, done = ingest(killed.directory, killed.copies())
    assert code == 0
    assert (len(done["appended"]), done["adopted"]) == (6, [])
    assert first.read_bytes() == before
    assert killed.segment.name.endswith(f"-000001-{min(killed.lost):012d}.jsonl")
    assert killed.numbers() == list(range(10))
    assert worst(killed) is None


def test_what_was_put_where_is_written_down_and_sealed(ingest: Ingest, killed: Log) -> None:
    """An auditor sees which records did not come from the process itself."""
    ingest(killed.directory, killed.copies(*list(killed.lost)[:2], *list(killed.lost)[3:]))
    records = own_records(killed)
    kinds = [record["event_type"] for record in records]
    assert kinds == ["AUDIT_OPEN", *["THROTTLE"] * 3, "AUDIT_INGESTED", "AUDIT_CLOSE", "AUDIT_CHECKPOINT"]
    assert records[0]["data"]["writer"] == "ingest"
    assert records[0]["data"]["stream"] == "trading/jules"
    assert records[0]["data"]["previous"][0]["incarnation"] == killed.incarnation
    ingested = records[4]["data"]
    assert ingested["events"] == 3
    assert ingested["runs"] == [[killed.incarnation, list(killed.lost)[3], 1, 3]]
    (segment,) = ingested["segments"]
    assert segment == {
        "segment": killed.segment.name,
        "records": 2,
        "sha256": sha256(killed.segment.read_bytes()).hexdigest(),
    }
    assert worst(killed) is None


def test_events_without_a_place_keep_all_but_their_number(ingest: Ingest, killed: Log) -> None:
    """Identity, times and payload stay as they were."""
    seq = list(killed.lost)[3]
    assert ingest(killed.directory, killed.copies(seq))[0] == 0
    (event,) = [record for record in own_records(killed) if record["event_type"] == "THROTTLE"]
    assert {**event, "seq": seq, "hash": ""} == {**json.loads(killed.lost[seq]), "hash": ""}


def test_events_that_the_log_never_took_are_put_in(ingest: Ingest, killed: Log) -> None:
    """Their number is -1; also while their process lives on."""
    copies = [with_number(-1, encode_event(make_event(number, padding=3000))) for number in (20, 21)]
    lines = [line for record in copies for line in emergency_lines(killed.incarnation, -1, record)]
    assert ingest(killed.directory, lines)[0] == 0
    assert killed.numbers() == [0, 1, 2, 3, 20, 21]
    assert worst(killed) is None


def test_a_gap_stays_declared_when_what_filled_it_is_put_in(ingest: Ingest, killed: Log) -> None:
    """What fills it came from outside; the gap is what the writer knew."""
    seq, now = min(killed.lost), time_ns()
    body = encode_control("AUDIT_GAP", {"reason": "the log could not take these events", "events": 1}, "a", now)
    gap, refused = with_number(seq, body), with_number(-1, encode_event(make_event(20)))
    lines = [*emergency_lines(killed.incarnation, seq, gap), *emergency_lines(killed.incarnation, -1, refused)]
    assert ingest(killed.directory, lines)[0] == 0
    assert killed.numbers() == [0, 1, 2, 3, 20]
    assert worst(killed) is Severity.DECLARED_GAP


@pytest.mark.parametrize("compressed", [False, True])
def test_a_second_time_changes_nothing(ingest: Ingest, killed: Log, *, compressed: bool) -> None:
    """Nobody has to remember what was ingested already."""
    lost = list(killed.lost)
    ingest(killed.directory, killed.copies(*lost[:2], *lost[3:]))
    for name in list_segments(killed.directory) if compressed else ():
        path = killed.directory / str(name)
        Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    before = killed.files()
    code, done = ingest(killed.directory, killed.copies(*lost[:2], *lost[3:]))
    assert (code, len(done["present"]), done["segments"]) == (0, 5, [])
    assert killed.files() == before
    assert ingest(killed.directory, killed.copies())[0] == 0
    assert killed.numbers() == list(range(10))


def test_an_unfinished_last_line_becomes_the_copy_of_what_is_put_back(ingest: Ingest, killed: Log) -> None:
    """A process that is killed in the middle of a line leaves half of it."""
    first = next(iter(killed.lost.values()))
    with killed.segment.open("ab") as file:
        file.write(first[:50])
    assert ingest(killed.directory, killed.copies())[0] == 0
    assert killed.numbers() == list(range(10))
    assert worst(killed) is None


def test_lines_that_an_abandoned_segment_holds_do_not_count(ingest: Ingest, killed: Log) -> None:
    """The writer had begun the next one, to repeat them there, and got no further."""
    first = min(killed.lost)
    with killed.segment.open("ab") as file:
        for seq in (first, first + 1):
            file.write(to_line(killed.lost[seq], leaf_hash(killed.lost[seq])))
    (killed.directory / re.sub(r"-000000-\d+", f"-000001-{first:012d}", killed.segment.name)).touch()
    code, done = ingest(killed.directory, killed.copies())
    assert (code, len(done["appended"])) == (0, 6)
    assert killed.numbers() == list(range(10))
    assert worst(killed) is None


def test_another_record_with_the_same_number_is_refused(ingest: Ingest, killed: Log) -> None:
    """One of the two is not true; both are shown, and the rest is put in place all the same."""
    ingest(killed.directory, killed.copies())
    seq = next(iter(killed.lost))
    forged = killed.lost[seq].replace(b'"number":4', b'"number":7')
    before = killed.files()
    code, done = ingest(killed.directory, list(emergency_lines(killed.incarnation, seq, forged)))
    assert code == 1
    (conflict,) = done["conflicts"]
    assert (conflict["record"], conflict["other"]) == (forged.decode(), killed.lost[seq].decode())
    assert killed.files() == before


def test_two_copies_that_contradict_each_other_are_both_refused(ingest: Ingest, killed: Log) -> None:
    """Which of them came first proves nothing."""
    seq = next(iter(killed.lost))
    forged = killed.lost[seq].replace(b'"number":4', b'"number":7')
    code, done = ingest(killed.directory, [*killed.copies(), *emergency_lines(killed.incarnation, seq, forged)])
    assert code == 1
    assert {conflict["record"] for conflict in done["conflicts"]} == {forged.decode(), killed.lost[seq].decode()}
    assert killed.numbers() == [0, 1, 2, 3, 5, 6, 7, 8, 9]


def test_a_process_that_lives_writes_its_records_itself(ingest: Ingest, open_log: Open, tmp_path: Path) -> None:
    """They would be there twice."""
    log = open_log()
    live = Log(tmp_path / "audit", log.status().incarnation)
    seq = log.status().seq + 1
    copy = emergency_lines(live.incarnation, seq + 5, with_number(seq + 5, encode_event(make_event(1))))
    before = live.files()
    code, done = ingest(live.directory, copy)
    assert (code, len(done["waiting"])) == (3, 1)
    assert set(live.files()) - set(before) == {".riskbus-ingest.lock"}


def test_a_closed_incarnation_gets_no_more_records(ingest: Ingest, open_log: Open, tmp_path: Path) -> None:
    """They would stand after AUDIT_CLOSE."""
    with open_log() as log:
        log.append(make_event(0))
    closed = Log(tmp_path / "audit", log.status().incarnation)
    seq = len(closed.segment.read_bytes().splitlines())
    assert (
        ingest(
            closed.directory, emergency_lines(closed.incarnation, seq, with_number(seq, encode_event(make_event(1))))
        )[0]
        == 0
    )
    assert closed.numbers() == [0, 1]
    assert worst(closed) is None


def test_records_that_would_miss_their_seal_become_an_incarnation_that_has_one(ingest: Ingest, killed: Log) -> None:
    """An outage of more than a minute: at the old place, verify could not decide about them."""
    seq = next(iter(killed.lost))
    late = json.loads(killed.lost[seq])["timestamp_ns"] + 120 * 10**9
    record = with_number(seq, encode_event(make_event(4, timestamp_ns=late)))
    code, done = ingest(killed.directory, emergency_lines(killed.incarnation, seq, record))
    assert (code, done["appended"], len(done["adopted"])) == (0, [], 1)
    assert worst(killed) is None


def test_the_output_of_another_log_is_left_out(ingest: Ingest, killed: Log) -> None:
    """Unless one insists."""
    other = "019bc1e35d6370008000000000000000"
    lines = emergency_lines(other, 5, with_number(5, encode_event(make_event(30))))
    before = killed.numbers()
    code, done = ingest(killed.directory, lines)
    assert (code, len(done["foreign"])) == (2, 1)
    assert killed.numbers() == before
    assert ingest(killed.directory, lines, "--unknown")[0] == 0
    assert killed.numbers() == sorted([*before, 30])


def test_an_incarnation_that_never_reached_the_volume_is_known_by_its_stream(ingest: Ingest, killed: Log) -> None:
    """A process that started on a full volume has its AUDIT_OPEN on standard output as well."""
    incarnation = "01a210bfd8ec7d739990f956388ab0e1"
    opening = killed.segment.read_bytes().splitlines()[0]
    template = json.loads(opening)
    template.pop("hash")
    template["data"]["incarnation"] = incarnation
    records = [json.dumps(template, separators=(",", ":")).encode(), with_number(1, encode_event(make_event(60)))]
    lines = [line for seq, record in enumerate(records) for line in emergency_lines(incarnation, seq, record)]
    code, done = ingest(killed.directory, lines)
    assert (code, len(done["adopted"]), len(done["dropped"])) == (0, 1, 1)
    assert killed.numbers() == [0, 1, 2, 3, 60]
    assert worst(killed) is None


def test_what_the_second_directory_has_is_present(ingest: Ingest, killed: Log) -> None:
    """The log went on there while its volume refused."""
    ingest(killed.directory, killed.copies())
    second = killed.directory.with_name("second")
    second.mkdir()
    killed.segment.rename(second / killed.segment.name)
    code, done = ingest(killed.directory, killed.copies(), "--second-dir", str(second))
    assert (code, len(done["present"]), done["segments"]) == (0, 6, [])


def test_a_dry_run_writes_nothing(ingest: Ingest, killed: Log) -> None:
    """And says what would be done."""
    before = killed.files()
    code, done = ingest(killed.directory, killed.copies(), "--dry-run")
    assert (code, len(done["appended"]), done["segments"]) == (0, 6, [])
    assert killed.files() == before


def test_two_at_once_do_not_collide(ingest: Ingest, killed: Log) -> None:
    """The second one says so, and writes nothing."""
    descriptor = os.open(killed.directory / ".riskbus-ingest.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    before = killed.files()
    command = [sys.executable, "-m", "riskbus", "ingest", str(killed.directory)]
    ended = subprocess.run(command, input=b"".join(killed.copies()), capture_output=True, check=False)
    assert ended.returncode == 64
    assert b"another riskbus ingest is at work" in ended.stderr
    assert killed.files() == before
    os.close(descriptor)
    assert ingest(killed.directory, killed.copies())[0] == 0


def test_one_that_was_killed_is_made_good_by_the_next(ingest: Ingest, killed: Log) -> None:
    """Whatever it left: a hidden file, or the one segment without the other."""
    (killed.directory / f".{killed.segment.name}.ingest").write_bytes(b"half a li")
    ingest(killed.directory, killed.copies())
    assert killed.numbers() == list(range(10))
    killed.segment.unlink()  # as if it had come between the two names
    assert ingest(killed.directory, killed.copies())[0] == 0
    assert killed.numbers() == list(range(10))
    assert worst(killed) is None
    assert not [name for name in killed.files() if name.endswith(".ingest")]


def test_from_standard_input_and_for_people(killed: Log) -> None:
    """`kubectl logs | riskbus ingest`."""
    command = [sys.executable, "-m", "riskbus", "ingest", str(killed.directory / "risk_audit.jsonl")]
    ended = subprocess.run(command, input=b"".join(killed.copies()), capture_output=True, check=False)
    out = ended.stdout.decode()
    assert ended.returncode == 0
    assert "6  put at the end of their incarnation" in out
    assert f"written: {killed.segment}" in out
    assert 'AUDIT_CHECKPOINT {"key":"trading/jules/' in out
    assert out.endswith("Every record is in its place. (exit code 0)\n")


def test_a_directory_of_several_logs_asks_which(killed: Log) -> None:
    """Guessing would mix two streams."""
    segment = killed.segment
    (killed.directory / segment.name.replace("risk_audit", "other")).write_bytes(segment.read_bytes())
    command = [sys.executable, "-m", "riskbus", "ingest", str(killed.directory)]
    ended = subprocess.run(command, input=b"", capture_output=True, check=False)
    assert ended.returncode == 64
    assert b"other.jsonl, risk_audit.jsonl" in ended.stderr


def test_the_event_type_of_a_copy_does_not_matter(ingest: Ingest, killed: Log) -> None:
    """Kinds of the user's own are events like any other."""
    record = with_number(-1, encode_event(RiskEvent("MY_OWN_KIND", make_event(0).priority, "test", {"number": 40})))
    assert ingest(killed.directory, emergency_lines(killed.incarnation, -1, record))[0] == 0
    assert killed.numbers() == [0, 1, 2, 3, 40]
