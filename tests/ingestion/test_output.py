"""Emergency copies are found in a container's output, however it was collected and whatever it looks like."""

import json
import random
from base64 import b64encode
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.format.collected import Joiner
from riskbus.format.emergency import Collector, Emergency
from riskbus.format.output import emergency_lines
from riskbus.format.record import encode_event, with_number

INCARNATION = "019bc1e35d6370008000000000000000"
TIME = "2026-01-15T14:30:25.123456789Z"


def make(seq: int, text: str = "x") -> Emergency:
    """Make a record and say whose it is."""
    event = RiskEvent(EventType.OVERRIDE, EventPriority.LOW, "desk", {"text": text})
    return Emergency(INCARNATION, seq, with_number(seq, encode_event(event)))


def collect(lines: list[bytes]) -> Collector:
    """Read these lines."""
    collector = Collector()
    for number, line in enumerate(lines, 1):
        collector.feed(line, f"line {number}")
    return collector


WRAPPINGS: dict[str, Callable[[str], str]] = {
    "as it was written": lambda line: line,
    "containerd and CRI-O": lambda line: f"{TIME} stdout F {line}",
    "kubectl logs --timestamps": lambda line: f"{TIME} {line}",
    "kubectl logs --prefix": lambda line: f"[pod/jules-0/main] {line}",
    "kubectl logs --prefix --timestamps": lambda line: f"[pod/jules-0/main] {TIME} {line}",
    "docker json-file": lambda line: json.dumps({"log": line, "stream": "stdout", "time": TIME}) + "\n",
    "a log shipper": lambda line: (
        json.dumps({"@timestamp": TIME, "kubernetes": {"pod": "x"}, "m": {"text": line}}) + "\n"
    ),
    "behind text without a line feed": lambda line: f"progress 50%{line}",
    "with the line ends of another system": lambda line: line.replace("\n", "\r\n"),
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_copy_is_found_in_whatever_it_is_wrapped(wrapping: str) -> None:
    """Short ones, and long ones in several lines."""
    copies = [make(1), make(2, '"AUDIT_EMERGENCY" \\ ä\u2028'), make(3, "ä" * 5000), make(-1)]
    lines = [line for copy in copies for line in emergency_lines(*copy)]
    assert len(lines) > 5
    collector = collect([WRAPPINGS[wrapping](line.decode()).encode() for line in lines])
    assert collector.records() == copies
    assert collector.unreadable() == []
    assert collector.lines == len(lines)


@given(st.lists(st.binary(max_size=60).filter(lambda piece: b"AUDIT_EMERGENCY" not in piece)), st.randoms())
def test_order_repetitions_and_what_stands_between_do_not_matter(garbage: list[bytes], choose: random.Random) -> None:
    """Collectors deliver late and twice, and other lines are not ours."""
    copies = [make(1), make(2, "ä" * 4000), make(-1, "b" * 5000), make(-1, "c" * 5000)]
    lines = [line for copy in copies for line in emergency_lines(*copy)]
    mixed = [*lines, *lines, *(piece.replace(b"\n", b"") + b"\n" for piece in garbage)]
    choose.shuffle(mixed)
    collector = collect(mixed)
    assert set(collector.records()) == set(copies)
    assert collector.unreadable() == []


def _cri(stream: str, tag: str, text: str) -> bytes:
    return f"{TIME} {stream} {tag} {text}\n".encode()


def _docker(stream: str, tag: str, text: str) -> bytes:
    return json.dumps({"log": text + ("\n" if tag == "F" else ""), "stream": stream, "time": TIME}).encode() + b"\n"


@pytest.mark.parametrize("write", [_cri, _docker])
@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_copy_that_the_runtime_took_apart_is_put_together(write: Callable[[str, str, str], bytes], cut: int) -> None:
    """A workload wrote 16 KiB without a line feed just before it."""
    copy = make(1)
    line = emergency_lines(*copy)[0].decode().rstrip()
    pieces = [
        write("stdout", "P", "x" * 16384),
        write("stderr", "P", "in between"),
        write("stdout", "P", line[:cut]),
        write("stderr", "F", "nothing of ours"),
        write("stdout", "F", line[cut:]),
        write("stdout", "F", "the next one"),
    ]
    joiner = Joiner()
    lines = [joined for piece in pieces if (joined := joiner.join(piece)) is not None]
    assert len(lines) == 3
    collector = collect(lines)
    assert collector.records() == [copy]
    assert collector.unreadable() == []


@given(st.lists(st.binary(max_size=50)))
def test_lines_of_other_kinds_are_left_as_they_are(lines: list[bytes]) -> None:
    """Whatever looks like nothing known is passed on."""
    joiner = Joiner()
    assert [joiner.join(line) for line in lines] == lines


def test_a_line_that_is_cut_off_is_pointed_out() -> None:
    """With whose it was, as far as that can be read; unless the record is complete elsewhere."""
    (line,) = emergency_lines(*make(7))
    cut = collect([b"hello\n", line[:100]])
    assert cut.records() == []
    assert [(item.source, item.incarnation, item.seq) for item in cut.unreadable()] == [("line 2", INCARNATION, 7)]
    docker = json.dumps({"log": line.decode()})[:120].encode()
    assert [(item.incarnation, item.seq) for item in collect([docker]).unreadable()] == [(INCARNATION, 7)]
    assert collect([line[:30]]).unreadable()[0].incarnation == ""
    assert collect([line[:100], line]).unreadable() == []


def test_a_record_whose_parts_are_not_all_there_is_pointed_out() -> None:
    """It says how many are."""
    lines = emergency_lines(*make(7, "ä" * 5000))
    (item,) = collect(lines[1:]).unreadable()
    assert item.reason == f"only {len(lines) - 1} of {len(lines)} parts are there"


def test_parts_that_do_not_fit_together_make_no_record() -> None:
    """What was changed on the way is not evidence."""
    lines = emergency_lines(*make(7, "a" * 5000))
    fields = json.loads(lines[1].removeprefix(b"AUDIT_EMERGENCY "))
    fields["record_base64"] = b64encode(b"b" * 2400).decode()
    changed = b"AUDIT_EMERGENCY " + json.dumps(fields).encode()
    collector = collect([lines[0], changed, *lines[2:]])
    assert collector.records() == []
    assert "do not make the record" in collector.unreadable()[0].reason


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "null",
        '{"incarnation":"x","seq":1,"record":"{}"}',
        f'{{"incarnation":"{INCARNATION}","seq":1,"record":"{{}}"}}',
        f'{{"incarnation":"{INCARNATION}","seq":1.5,"record":""}}',
        f'{{"incarnation":"{INCARNATION}","seq":1,"record":7}}',
        f'{{"incarnation":"{INCARNATION}","seq":1,"hash":"x","part":2,"parts":1,"record_base64":""}}',
        f'{{"incarnation":"{INCARNATION}","seq":1,"hash":"x","part":1,"parts":"x","record_base64":""}}',
        f'{{"incarnation":"{INCARNATION}","seq":1,"hash":"x","part":1,"parts":2,"record_base64":"?"}}',
        f'{{"incarnation":["{INCARNATION}"],"seq":1,"hash":[],"part":1,"parts":2,"record_base64":""}}',
    ],
)
def test_whatever_else_follows_the_mark_is_no_copy(text: str) -> None:
    """Anyone can print these words."""
    collector = collect([f"AUDIT_EMERGENCY {text}\n".encode()])
    assert collector.records() == []
    assert len(collector.unreadable()) == 1


def test_a_record_with_another_number_than_its_line_is_no_copy() -> None:
    """It would be put where it does not belong."""
    (line,) = emergency_lines(INCARNATION, 8, make(7).record)
    collector = collect([line])
    assert collector.records() == []
    assert "another number" in collector.unreadable()[0].reason
