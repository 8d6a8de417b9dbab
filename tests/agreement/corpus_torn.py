"""Last lines that a kill cut off, and what the next incarnation says of their records."""

from typing import Any

from riskbus.format.record import leaf_hash, renumber, to_line
from tests.agreement.cases import Case, Make, adding_to, kinds_of, one, rehashed
from tests.agreement.scribe import Scribe, finished, gzip_member

CASES: dict[str, Make] = {}
case = adding_to(CASES)


def killed(number: int = 0, *previous: Scribe) -> tuple[Scribe, bytes]:
    """An incarnation that was killed while it wrote its record 4, and that record."""
    scribe = Scribe(number).open(*previous).checkpoint().events(2)
    return scribe, scribe.record("LIMIT_BREACH", {"limit": 1000, "position": 1004}, priority="HIGH")


def heir_of(earlier: Scribe, record: bytes | None, **said: Any) -> Scribe:
    """The incarnation after one that was killed: it takes a record over as its number 2, and says so."""
    heir = Scribe(1).open(earlier).checkpoint()
    if record is not None:
        heir.add(renumber(2, record))
    cause = "their process ended before they were written"
    about = {"cause": cause, "incarnation": earlier.incarnation, "records": 1, "runs": [[4, 2, 1]]}
    return heir.control("AUDIT_RECOVERED", **about | said)


@case
def torn_and_recovered() -> Case:
    """A kill -9 in the middle of a write; the staging ring outlived the process."""
    first, record = killed()
    files = one(first, rest=record[:200]) | one(heir_of(first, record).close())
    about = "A last line is torn, and the next incarnation has the record, whole, as its AUDIT_RECOVERED says."
    return Case(about, files, 0, kinds_of("torn-recovered"))


@case
def torn_within_its_number() -> Case:
    """A write can end anywhere."""
    first, record = killed()
    files = one(first, rest=record[:5]) | one(heir_of(first, record))
    return Case("A last line is torn in its first bytes, and recovered.", files, 0, kinds_of("torn-recovered"))


@case
def torn_before_its_line_feed() -> Case:
    """Everything but the last byte."""
    first, record = killed()
    files = one(first, rest=to_line(record, leaf_hash(record))[:-1]) | one(heir_of(first, record))
    return Case("A last line lacks its line feed only, and is recovered.", files, 0, kinds_of("torn-recovered"))


@case
def torn_within_its_hash_and_another() -> Case:
    """The hash is that of the number under which it was to stand."""
    first, record = killed()
    rest = to_line(record, leaf_hash(renumber(2, record)))[:-5]
    return Case(
        "A torn last line has another hash than its record.",
        one(first, rest=rest) | one(heir_of(first, record)),
        2,
        kinds_of("torn"),
    )


@case
def torn_and_recovered_with_another_content() -> Case:
    """What was torn is not what was recovered."""
    first, record = killed()
    rest = record.replace(b'"position":1004', b'"position":1005')[:-30]
    about = "A last line is torn, and the record that was recovered begins with other bytes."
    return Case(about, one(first, rest=rest) | one(heir_of(first, record)), 2, kinds_of("torn"))


@case
def torn_and_another_number_recovered() -> Case:
    """The record after it is none of its business."""
    first, record = killed()
    files = one(first, rest=record[:200]) | one(heir_of(first, record, runs=[[5, 2, 1], [3, 1, 1]]))
    return Case("A last line is torn, and only later records were recovered.", files, 2, kinds_of("torn"))


@case
def torn_and_said_to_be_recovered() -> Case:
    """The word alone does not count."""
    first, record = killed()
    files = one(first, rest=record[:200]) | one(heir_of(first, None, runs=[[4, 7, 1]]))
    return Case("A last line is torn; AUDIT_RECOVERED names a record that is not here.", files, 2, kinds_of("torn"))


@case
def torn_and_recovered_without_a_number_that_can_be() -> Case:
    """A verifier reads what anybody may have written."""
    first, record = killed()
    runs = [[4, 2], [4, 2, True], ["4", 2, 1], [-1, -3, 9], [0, 0, 1 << 63], None]
    files = one(first, rest=record[:200]) | one(heir_of(first, record, runs=runs))
    return Case("A last line is torn, and no run of AUDIT_RECOVERED can be read.", files, 2, kinds_of("torn"))


@case
def torn_in_the_middle_and_recovered() -> Case:
    """By the one after the next, in its second segment, which is compressed."""
    first = finished(0)
    second, record = killed(1, first)
    third = Scribe(2).open(second).checkpoint().events(1)
    fourth = Scribe(3).open(third).checkpoint().events(2)
    fourth.add(renumber(4, record))
    fourth.control("AUDIT_RECOVERED", incarnation=second.incarnation, records=2, runs=[[2, 9, 1], [4, 4, 1]]).close()
    files = fourth.files(3)
    packed = {f"{name}.gz" if "-000001-" in name else name: data for name, data in files.items()}
    packed[f"{fourth.name(1, 3)}.gz"] = gzip_member(files[fourth.name(1, 3)])
    files = one(first) | one(second, rest=record[:222]) | one(third) | packed
    return Case(
        "The last line of the second of four incarnations is torn; the fourth has it.",
        files,
        0,
        kinds_of("torn-recovered"),
    )


@case
def torn_and_recovered_by_two() -> Case:
    """The heir was killed before it could say what it had taken over; its own heir says it."""
    first, record = killed()
    second = Scribe(1).open(first).checkpoint()
    second.add(renumber(2, record))
    third = Scribe(2).open(second).checkpoint()
    third.control(
        "AUDIT_RECOVERED", incarnation=first.incarnation, into=second.incarnation, records=1, runs=[[4, 2, 1]]
    )
    files = one(first, rest=record[:200]) | one(second) | one(third)
    return Case(
        "A last line is torn; a third incarnation says that the second has it.", files, 0, kinds_of("torn-recovered")
    )


@case
def torn_and_recovered_before_it_was_written() -> Case:
    """Time goes one way."""
    first, record = killed()
    second = Scribe(1).open(first).checkpoint().events(2)
    first.add(record)
    first.control("AUDIT_RECOVERED", incarnation=second.incarnation, records=1, runs=[[4, 4, 1]])
    files = one(first) | one(second, rest=renumber(4, record)[:200]) | one(Scribe(2).open(second).checkpoint())
    return Case(
        "A last line is torn, and an earlier incarnation claims to have recovered it.", files, 2, kinds_of("torn")
    )


@case
def torn_record_of_the_logs_own() -> Case:
    """Nobody writes it again; what it was to be is said."""
    first = Scribe().open().checkpoint().events(2)
    own = first.record("AUDIT_CHECKPOINT", {"note": first.sign(4)})
    heir = heir_of(first, None, records=0, runs=[], unfinished=own.decode())
    files = one(first, rest=own[:150]) | one(heir.close())
    about = "A last line is torn, and the next incarnation says which record of the log's own it began."
    return Case(about, files, 0, kinds_of("torn-recovered"))


@case
def torn_event_that_nobody_has() -> Case:
    """An event has to be there, not to be told of."""
    first, record = killed()
    heir = heir_of(first, None, records=0, runs=[], unfinished=record.decode())
    files = one(first, rest=record[:200]) | one(heir)
    return Case("A last line is torn; AUDIT_RECOVERED quotes an event, and nobody has it.", files, 2, kinds_of("torn"))


@case
def torn_record_of_the_logs_own_with_another_number() -> Case:
    """It is about another place."""
    first = Scribe().open().checkpoint().events(2)
    own = first.record("AUDIT_CLOCK", {"synchronized": True})
    heir = heir_of(first, None, records=0, runs=[], unfinished=renumber(5, own).decode())
    files = one(first, rest=own[:150]) | one(heir)
    return Case("A last line is torn; AUDIT_RECOVERED quotes a record of another number.", files, 2, kinds_of("torn"))


@case
def torn_and_recovered_by_a_record_that_was_altered() -> Case:
    """A declaration that does not match its hash is none."""
    first, record = killed()
    heir = heir_of(first, record).close()
    lines = [line.replace(b"[[4,2,1]]", b"[[4,2,2]]") for line in heir.lines]
    about = "A last line is torn, and the AUDIT_RECOVERED that explains it was altered."
    return Case(about, one(first, rest=record[:200]) | one(heir, lines), 1, kinds_of("torn", "altered"))


@case
def torn_and_recovered_by_a_forgery() -> Case:
    """Where seals do not fit, nothing is believed."""
    first, record = killed()
    heir = heir_of(first, record, runs=[[5, 2, 1]]).close()
    lines = rehashed([line.replace(b"[[5,2,1]]", b"[[4,2,1]]") for line in heir.lines])
    about = "A last line is torn; an AUDIT_RECOVERED was made to explain it, and its hash made right."
    return Case(about, one(first, rest=record[:200]) | one(heir, lines), 1, kinds_of("torn", "root"))


@case
def torn_record_of_the_logs_own_by_a_forgery() -> Case:
    """Nor is a quotation believed there."""
    first = Scribe().open().checkpoint().events(2)
    own = first.record("AUDIT_CHECKPOINT", {"note": first.sign(4)})
    heir = heir_of(first, None, records=0, runs=[], unfinished=own.decode()).events(1).close()
    lines = rehashed([line.replace(b'"limit":1000', b'"limit":9999') for line in heir.lines])
    about = "A last line is torn, and its record quoted by an incarnation in which another record was edited."
    return Case(about, one(first, rest=own[:150]) | one(heir, lines), 1, kinds_of("torn", "root"))


@case
def torn_and_recovered_into_one_that_was_tampered_with() -> Case:
    """The incarnation that says so is sound; the one that has the record is not."""
    first, record = killed()
    second = Scribe(1).open(first).checkpoint()
    second.add(renumber(2, record))
    second.events(1)
    lines = [line.replace(b'"position":1003', b'"position":9') for line in second.lines]
    third = Scribe(2).open(second).checkpoint()
    third.control("AUDIT_RECOVERED", incarnation=first.incarnation, into=second.incarnation, runs=[[4, 2, 1]])
    files = one(first, rest=record[:200]) | one(second, lines) | one(third)
    about = "A last line is torn, and its record is in an incarnation in which another one was altered."
    return Case(about, files, 1, kinds_of("torn", "altered"))


@case
def torn_in_the_middle_of_an_incarnation() -> Case:
    """Its process wrote on after that line, so it was not killed there."""
    first, record = killed()
    heir = heir_of(first, record)
    first.add(record)
    first.events(3)
    files = {first.name(0, 0): b"".join(first.lines[:4]) + record[:200], first.name(1, 6): b"".join(first.lines[6:])}
    about = "A segment ends in half a line, others are missing, and another segment follows."
    return Case(about, files | one(heir), 2, kinds_of("torn", "missing"))


@case
def torn_and_recovered_among_a_thousand_others() -> Case:
    """A verifier's memory must not depend on the log."""
    first, record = killed()
    heir = Scribe(1).open(first).checkpoint()
    heir.add(renumber(2, record))
    for _ in range(1000):
        heir.control("AUDIT_RECOVERED", incarnation="0" * 32, records=0, runs=[])
    heir.control("AUDIT_RECOVERED", incarnation=first.incarnation, records=1, runs=[[4, 2, 1]])
    about = "A last line is torn; the AUDIT_RECOVERED that explains it is the 1,001st of its incarnation."
    return Case(about, one(first, rest=record[:200]) | one(heir), 2, kinds_of("torn"))


@case
def torn_and_its_recovered_record_altered() -> Case:
    """What was torn would show what it was before; it proves nothing, and is not called fine."""
    first, record = killed()
    heir = heir_of(first, record).close()
    lines = [line.replace(b'"position":1004', b'"position":1') for line in heir.lines]
    files = one(first, rest=record[:200]) | one(heir, lines)
    return Case(
        "A last line is torn, and the record that was recovered was altered.", files, 1, kinds_of("torn", "altered")
    )


@case
def torn_before_a_cut() -> Case:
    """Half a line that was recovered excuses nothing before it."""
    first, record = killed()
    first.add(record)
    first.checkpoint()
    second = heir_of(first, record)
    files = one(first, first.lines[:4], rest=record[:200]) | one(second)
    return Case(
        "A log was cut off, and half a line put there that was recovered.",
        files,
        1,
        kinds_of("truncated", "torn-recovered"),
    )
