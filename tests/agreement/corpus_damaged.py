"""Directories that are damaged, or that cannot be decided about, or that declare a gap."""

from tests.agreement.cases import Case, Make, adding_to, edited, kinds_of, one, rehashed
from tests.agreement.scribe import Scribe, finished, gzip_member

CASES: dict[str, Make] = {}
case = adding_to(CASES)


@case
def nothing() -> Case:
    """The wrong directory."""
    return Case("A directory without a log.", {"notes.txt": b"hello\n"}, 3)


@case
def a_copy_that_differs() -> Case:
    """It may be damage, it may be more; it is not nothing."""
    scribe = finished()
    files = scribe.files(4)
    files[scribe.name(0, 0)] += rehashed([line.replace(b"1004", b"1005") for line in scribe.lines])[4]
    return Case("A copy in an abandoned segment differs.", files, 2, kinds_of("contradicted"))


@case
def torn() -> Case:
    """A power cut."""
    scribe = finished()
    rest = scribe.lines[-1][:50]
    return Case(
        "The last line of a log that has ended is torn.",
        one(scribe, scribe.lines[:-1], rest),
        2,
        kinds_of("torn", "unsealed"),
    )


@case
def torn_in_an_older_incarnation() -> Case:
    """Nobody can still be writing it."""
    first = Scribe(0).open().checkpoint().events(1)
    second = finished(1, first)
    files = one(first, rest=first.record("LIMIT_BREACH", {})[:30]) | one(second)
    return Case("The last line of an older incarnation is torn.", files, 2, kinds_of("torn"))


@case
def zeros() -> Case:
    """A bad block."""
    scribe = finished()
    lines = list(scribe.lines)
    lines[3] = bytes(len(lines[3]) - 1) + b"\n"
    return Case("A line of zeros.", one(scribe, lines), 2, kinds_of("malformed", "missing", "unproved"))


@case
def zeros_at_the_end() -> Case:
    """The file was made longer, its content was not written."""
    scribe = Scribe().open().checkpoint().events(2)
    return Case("Zeros after the last line.", one(scribe, rest=bytes(100)), 2, kinds_of("torn"))


@case
def a_huge_line() -> Case:
    """No verifier may take its memory from the log."""
    scribe = finished()
    lines = [*scribe.lines[:3], b"x" * 1_200_000 + b"\n", *scribe.lines[3:]]
    return Case("A line longer than any record.", one(scribe, lines), 2, kinds_of("malformed"))


@case
def damaged_member() -> Case:
    """A bad block in a compressed segment."""
    scribe = finished()
    first, second = scribe.files(5).items()
    members = [gzip_member(line) for line in first[1].splitlines(keepends=True)]
    members[3] = members[3][:-6] + bytes(6)
    files = {f"{first[0]}.gz": b"".join(members), second[0]: second[1]}
    return Case("One of the gzip members has a wrong checksum.", files, 2, kinds_of("malformed"))


@case
def rehashed_edit_behind_damage() -> Case:
    """Damage must not pass for a proof that the rest is genuine."""
    scribe = finished()
    lines = rehashed(edited(scribe))
    lines[1] = b"\0" * 100 + b"\n"
    return Case(
        "An edit with its hash made right, behind a line that was made unreadable.",
        one(scribe, lines),
        2,
        kinds_of("malformed", "missing", "unproved"),
    )


@case
def stripped_seals() -> Case:
    """A forgery without a key."""
    scribe = finished()
    lines = rehashed([line for line in scribe.lines if b"AUDIT_CHECKPOINT" not in line])
    return Case("Every checkpoint was removed, and every hash made right.", one(scribe, lines), 3, kinds_of("unsealed"))


@case
def unsealed_for_long() -> Case:
    """A healthy writer seals within a second."""
    scribe = Scribe().open().checkpoint().events(1).wait(61).events(1)
    return Case("No checkpoint for more than a minute.", one(scribe), 3, kinds_of("unsealed"))


@case
def an_end_without_its_seal() -> Case:
    """The last checkpoint is gone, an earlier one came late."""
    scribe = Scribe().open().checkpoint().events(2).control("AUDIT_CLOSE", records=4)
    about = "The only checkpoint after AUDIT_CLOSE does not cover it."
    return Case(about, one(scribe.checkpoint(behind=1)), 3, kinds_of("unsealed"))


@case
def unknown_version() -> Case:
    """A verifier does not guess."""
    return Case(
        "A format version that this page does not describe.",
        one(Scribe().open(format_version=2).checkpoint()),
        3,
        kinds_of("version"),
    )


@case
def not_json() -> Case:
    """A good hash over something that is no record, where no seal vouches for it."""
    scribe = Scribe().open().checkpoint().events(1)
    scribe.add(b'{"seq":3,"ts":"2026-01-15T14:30:25.123Z","event_id":}')
    return Case(
        "A line with a good hash that is not JSON, in the unsealed rest.", one(scribe), 2, kinds_of("malformed")
    )


@case
def declared_gap() -> Case:
    """Honesty about a loss."""
    scribe = Scribe().open().checkpoint().control("AUDIT_GAP", reason="the ring was full", events=7).close()
    return Case("The writer declares that events were lost.", one(scribe), 4, kinds_of("gap"))


@case
def gaps_that_no_log_can_have() -> Case:
    """More events than there are numbers for, fewer than none, and no number."""
    scribe = Scribe().open().checkpoint()
    for events in (2**64 - 1, 2**63 - 1, 2**63 - 1, 2**63 - 1, -7, "7", 7.5, None):
        scribe.control("AUDIT_GAP", reason="the ring was full", events=events)
    return Case("The writer declares gaps of sizes that cannot be.", one(scribe.close()), 4, kinds_of("gap"))


@case
def anchors_of_another_stream() -> Case:
    """Verifying the wrong directory must not look like success."""
    other = Scribe(3, stream="other/stream/risk_audit").open().checkpoint()
    return Case("The anchors are another stream's.", one(finished()), 3, kinds_of("stray"), other.anchors())


@case
def anchors_without_the_opening() -> Case:
    """Without AUDIT_OPEN there is no key to compare with."""
    scribe = finished()
    lines = [b"\n", *scribe.lines[1:]]
    return Case(
        "AUDIT_OPEN is unreadable.",
        one(scribe, lines),
        2,
        kinds_of("malformed", "missing", "keyless", "anchor"),
        scribe.anchors(),
    )
