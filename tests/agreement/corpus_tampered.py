"""Directories that somebody tampered with."""

from base64 import b64decode, b64encode

from riskbus.format.checkpoint import parse
from riskbus.format.record import decode, dumps, from_line
from tests.agreement.cases import Case, Make, adding_to, edited, kinds_of, one, rehashed
from tests.agreement.scribe import Scribe, finished

CASES: dict[str, Make] = {}
case = adding_to(CASES)


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
def records_after_the_end() -> Case:
    """Nothing follows AUDIT_CLOSE but its seal."""
    scribe = finished().events(1)
    return Case("A record after AUDIT_CLOSE.", one(scribe), 1, kinds_of("after-close"))


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
