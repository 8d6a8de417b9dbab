"""Directories of every kind: valid, live, torn, damaged, tampered with, with gaps, of many incarnations, compressed."""

from base64 import b64decode, b64encode

from riskbus.format.checkpoint import parse
from riskbus.format.record import decode, dumps, from_line
from tests.agreement.cases import Case, Make, adding_to, edited, kinds_of, one, rehashed
from tests.agreement.scribe import Scribe, finished, gzip_member

CASES: dict[str, Make] = {}
case = adding_to(CASES)


@case
def finished_in_order() -> Case:
    """Nothing is wrong."""
    return Case("A log that ended in order.", one(finished()), 0)


@case
def killed() -> Case:
    """The process ended without a word, which a running one looks like."""
    scribe = Scribe().open().checkpoint().events(3).checkpoint(behind=1).events(2)
    return Case("A log without AUDIT_CLOSE: its process lives, or was killed.", one(scribe), 0)


@case
def in_flight() -> Case:
    """The writer is in the middle of a line."""
    scribe = Scribe().open().checkpoint().events(2)
    rest = scribe.record("LIMIT_BREACH", {})[:60]
    return Case("The newest incarnation has not ended, and its last line is not finished.", one(scribe, rest=rest), 0)


@case
def only_opened() -> Case:
    """Killed within the first milliseconds."""
    return Case("A log of one record.", one(Scribe().open()), 0)


@case
def nothing() -> Case:
    """The wrong directory."""
    return Case("A directory without a log.", {"notes.txt": b"hello\n"}, 3)


@case
def segments() -> Case:
    """Rotation, with a number left out."""
    scribe = finished()
    files = scribe.files(2, 5)
    files[scribe.name(7, 5)] = files.pop(scribe.name(2, 5))
    return Case("Three segments; numbers of segments may be skipped.", files, 0)


@case
def incarnations() -> Case:
    """Each names the one before."""
    first = finished(0)
    second = finished(1, first)
    third = Scribe(2).open(second).checkpoint().events(1)
    return Case("Three incarnations, the last of which lives.", one(first) | one(second) | one(third), 0)


@case
def compressed() -> Case:
    """Finished segments of gzip members."""
    scribe = finished()
    first, second = scribe.files(4).items()
    packed = b"".join(gzip_member(first[1][start : start + 700]) for start in range(0, len(first[1]), 700))
    return Case("The first of two segments is compressed.", {f"{first[0]}.gz": packed, second[0]: second[1]}, 0)


@case
def both_forms() -> Case:
    """A crash between compressing and removing."""
    scribe = finished()
    files = one(scribe)
    return Case(
        "A segment in both forms: the one that is not compressed counts.", files | {f"{scribe.name(0, 0)}.gz": b"?"}, 0
    )


@case
def two_directories() -> Case:
    """A volume failed, and the second directory took over."""
    scribe = finished()
    first, second, third = scribe.files(3, 5).items()
    files = {f"a/{first[0]}": first[1], f"b/{second[0]}": second[1], f"a/{third[0]}": third[1]}
    return Case("One incarnation, the segments of which lie in two directories.", files, 0)


@case
def a_copy_beside_it() -> Case:
    """A backup below the same directory."""
    scribe = finished()
    files = scribe.files(4)
    return Case("A log and its copy.", {f"{top}/{name}": data for top in "ab" for name, data in files.items()}, 0)


@case
def an_older_copy_beside_it() -> Case:
    """A backup that was made while the log was written."""
    scribe = finished()
    older = {f"backup/{scribe.name(0, 0)}": b"".join(scribe.lines[:5])}
    return Case("A log and an older copy of it.", one(scribe) | older, 0)


@case
def a_segment_that_is_moved() -> Case:
    """For a moment it stands in both directories."""
    scribe = finished()
    (first, head), (second, tail) = scribe.files(4).items()
    files = {f"a/{first}": head, f"a/{second}": tail, f"b/{second}.gz": gzip_member(tail)}
    return Case("A segment that stands in two directories counts once.", files, 0)


@case
def abandoned_segment() -> Case:
    """A failed sync: what was not durable is repeated."""
    scribe = finished()
    files = scribe.files(4)
    files[scribe.name(0, 0)] += scribe.lines[4] + scribe.lines[5][:70]
    return Case("The first segment was abandoned; its last lines are repeated in the second.", files, 0)


@case
def abandoned_and_not_repeated() -> Case:
    """The process ended before it had repeated everything."""
    scribe = Scribe().open().checkpoint().events(6)
    files = {scribe.name(0, 0): b"".join(scribe.lines), scribe.name(1, 4): b"".join(scribe.lines[4:5])}
    return Case("The first segment was abandoned, and the process ended before it had repeated everything.", files, 0)


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
def altered() -> Case:
    """A plain edit."""
    scribe = finished()
    return Case("One record was edited.", one(scribe, edited(scribe)), 1, kinds_of("altered"))


@case
def rehashed_edit() -> Case:
    """The signature shows what the hash does not."""
    scribe = finished()
    return Case(
        "One record was edited, and its hash made right.", one(scribe, rehashed(edited(scribe))), 1, kinds_of("root")
    )


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
def removed_record() -> Case:
    """A number is missing."""
    scribe = finished()
    return Case(
        "One record was removed.", one(scribe, scribe.lines[:3] + scribe.lines[4:]), 1, kinds_of("missing", "unproved")
    )


@case
def repeated_record() -> Case:
    """A number twice."""
    scribe = finished()
    return Case(
        "One record stands there twice.", one(scribe, scribe.lines[:4] + scribe.lines[3:]), 1, kinds_of("out-of-order")
    )


@case
def swapped_records() -> Case:
    """Order is evidence."""
    scribe = finished()
    lines = [*scribe.lines[:2], scribe.lines[3], scribe.lines[2], *scribe.lines[4:]]
    return Case("Two records were swapped.", one(scribe, lines), 1, kinds_of("missing", "out-of-order", "unproved"))


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
def foreign_signature() -> Case:
    """Signed, by somebody else."""
    scribe = Scribe().open().checkpoint()
    note = Scribe(seed="other").sign(2, scribe.root(2))
    return Case(
        "A checkpoint with another key's signature.", one(scribe.checkpoint(note=note)), 1, kinds_of("signature")
    )


@case
def broken_signature() -> Case:
    """Over something else."""
    scribe = Scribe().open().checkpoint()
    text, _, _ = scribe.sign(2).partition("\n\n")
    _, _, signature = scribe.notes[0].partition("\n\n")
    note = f"{text}\n\n{signature}"
    return Case(
        "A checkpoint with the signature of another.", one(scribe.checkpoint(note=note)), 1, kinds_of("signature")
    )


@case
def not_a_checkpoint() -> Case:
    """The record is genuine, and says nothing."""
    scribe = Scribe().open().checkpoint().checkpoint(note="hello\n")
    return Case("A checkpoint that cannot be read.", one(scribe), 1, kinds_of("seal"))


@case
def foreign_seal() -> Case:
    """A genuine note of another log."""
    other = finished(5)
    scribe = Scribe().open().checkpoint().events(5).checkpoint(note=other.notes[0])
    return Case("A checkpoint of another incarnation.", one(scribe), 1, kinds_of("seal"))


@case
def witnessed() -> Case:
    """A witness added its signature."""
    scribe = Scribe().open()
    note = scribe.sign(1) + "— witness.example/w1 " + finished(7).notes[0].rpartition(" ")[2]
    return Case("A checkpoint with a further signature, of a witness.", one(scribe.checkpoint(note=note).events(1)), 0)


@case
def witnessed_first() -> Case:
    """The order of signatures says nothing."""
    scribe = Scribe().open()
    text, _, own = scribe.sign(1).partition("\n\n")
    note = f"{text}\n\n— witness.example/w1 {finished(7).notes[0].rpartition(' ')[2]}{own}"
    return Case(
        "A checkpoint on which a witness' signature comes first.", one(scribe.checkpoint(note=note).events(1)), 0
    )


@case
def a_false_signature_beside_the_good_one() -> Case:
    """Each signature of the incarnation's key must be valid."""
    scribe = Scribe().open()
    note = scribe.sign(1) + scribe.sign(1, bytes(32)).partition("\n\n")[2]
    about = "A checkpoint with a good signature and a false one, of the same key."
    return Case(about, one(scribe.checkpoint(note=note)), 1, kinds_of("signature"))


@case
def a_signature_in_another_form() -> Case:
    """RFC 8032, 5.1.7: S must be below the order of the group, or every signature would have several forms."""
    scribe = Scribe().open()
    head, _, encoded = scribe.sign(1).rstrip("\n").rpartition(" ")
    signature = b64decode(encoded)
    scalar = int.from_bytes(signature[-32:], "little") + 2**252 + 27742317777372353535851937790883648493
    note = f"{head} {b64encode(signature[:-32] + scalar.to_bytes(32, 'little')).decode()}\n"
    about = "A checkpoint whose signature has the group's order added to S."
    return Case(about, one(scribe.checkpoint(note=note)), 1, kinds_of("signature"))


@case
def seal_that_goes_back() -> Case:
    """Sizes only grow."""
    scribe = Scribe().open().checkpoint().events(3)
    scribe.checkpoint().checkpoint(note=scribe.notes[0])
    return Case("An old checkpoint was put in again, as a record of its own.", one(scribe), 1, kinds_of("seal"))


@case
def seal_that_stands_still() -> Case:
    """Each covers more than the one before."""
    scribe = Scribe().open().checkpoint().events(3).checkpoint()
    scribe.checkpoint(note=scribe.notes[-1])
    return Case("A checkpoint stands there twice, as two records.", one(scribe), 1, kinds_of("seal"))


@case
def misnamed_segment() -> Case:
    """The name is part of the log."""
    scribe = finished()
    files = scribe.files(4)
    files[scribe.name(1, 3)] = files.pop(scribe.name(1, 4))
    kinds = kinds_of("misnamed", "missing", "unproved")
    return Case("A segment was renamed.", files, 1, kinds)


@case
def swapped_segments() -> Case:
    """Contents under each other's names."""
    scribe = finished()
    first, second, third = scribe.files(3, 6).items()
    files = {first[0]: first[1], second[0]: third[1], third[0]: second[1]}
    return Case("Two segments were swapped.", files, 1, kinds_of("misnamed", "missing", "out-of-order"))


@case
def removed_segment() -> Case:
    """A whole file in the middle."""
    scribe = finished()
    files = scribe.files(3, 6)
    del files[scribe.name(1, 3)]
    return Case("A segment in the middle was removed.", files, 1, kinds_of("missing", "unproved"))


@case
def removed_first_segment() -> Case:
    """Without AUDIT_OPEN there is no key."""
    scribe = finished()
    files = scribe.files(3)
    del files[scribe.name(0, 0)]
    return Case("The first segment was removed.", files, 1, kinds_of("missing", "keyless"))


@case
def removed_incarnation() -> Case:
    """Pruned or stolen: nobody can tell from what is left."""
    first = finished(0)
    return Case("An older incarnation is not here.", one(finished(1, first)), 3, kinds_of("absent"))


@case
def truncated_incarnation() -> Case:
    """Each AUDIT_OPEN is an anchor for the one before."""
    first = finished(0)
    files = one(first, first.lines[:2]) | one(finished(1, first))
    return Case("An older incarnation was cut off.", files, 1, kinds_of("truncated"))


@case
def renamed_incarnation() -> Case:
    """It says itself which one it is."""
    scribe = finished()
    (content,) = one(scribe).values()
    return Case(
        "A segment under another incarnation's name.",
        {Scribe(9).name(0, 0): content},
        1,
        kinds_of("misplaced", "keyless"),
    )


@case
def records_after_the_end() -> Case:
    """Nothing follows AUDIT_CLOSE but its seal."""
    scribe = finished().events(1)
    return Case("A record after AUDIT_CLOSE.", one(scribe), 1, kinds_of("after-close"))


@case
def a_late_checkpoint_after_the_end() -> Case:
    """One was signed before AUDIT_CLOSE was written, and came into the log after it."""
    scribe = Scribe().open().checkpoint().events(2).control("AUDIT_CLOSE", records=4)
    return Case("Two checkpoints after AUDIT_CLOSE.", one(scribe.checkpoint(behind=1).checkpoint()), 0)


@case
def an_end_without_its_seal() -> Case:
    """The last checkpoint is gone, an earlier one came late."""
    scribe = Scribe().open().checkpoint().events(2).control("AUDIT_CLOSE", records=4)
    about = "The only checkpoint after AUDIT_CLOSE does not cover it."
    return Case(about, one(scribe.checkpoint(behind=1)), 3, kinds_of("unsealed"))


@case
def second_opening() -> Case:
    """One for each incarnation."""
    scribe = Scribe().open().checkpoint().events(1)
    return Case("AUDIT_OPEN twice.", one(scribe.open().checkpoint()), 1, kinds_of("misplaced"))


@case
def not_opened() -> Case:
    """The first record says what the log is."""
    scribe = Scribe().events(2)
    return Case("A log without AUDIT_OPEN.", one(scribe), 1, kinds_of("unopened", "unsealed"))


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
def anchored() -> Case:
    """Standard output says the same."""
    scribe = finished()
    return Case("A log that ended in order, with its anchors.", one(scribe), 0, anchors=scribe.anchors())


@case
def truncated() -> Case:
    """Only anchors show it."""
    scribe = finished()
    return Case(
        "A log that was cut off, with its anchors.",
        one(scribe, scribe.lines[:2]),
        1,
        kinds_of("truncated"),
        scribe.anchors(),
    )


@case
def forged_with_another_key() -> Case:
    """Consistent in itself, so that only anchors show it."""
    scribe = finished()
    forger = Scribe(seed="forger")
    for line in edited(scribe):
        fields = decode(from_line(line)[0])
        if fields["event_type"] == "AUDIT_OPEN":
            fields["data"]["public_key"] = forger.key
        if fields["event_type"] == "AUDIT_CHECKPOINT":
            fields["data"]["note"] = forger.sign(parse(fields["data"]["note"]).size)
        forger.add(dumps(fields))
    about = "Everything was written again and signed with another key; the anchors are genuine."
    return Case(about, one(forger), 1, kinds_of("anchor", "key"), scribe.anchors())


@case
def removed_incarnation_with_anchors() -> Case:
    """Who kept the anchor can show that it existed."""
    first = finished(0)
    return Case(
        "An older incarnation is not here, and its anchors are.",
        one(finished(1, first)),
        1,
        kinds_of("absent", "removed"),
        first.anchors(),
    )


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
