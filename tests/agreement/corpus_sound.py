"""Directories with which nothing is wrong: every form that a writer leaves, alive, killed, or of many incarnations."""

from tests.agreement.cases import Case, Make, adding_to, kinds_of, one
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
def a_late_checkpoint_after_the_end() -> Case:
    """One was signed before AUDIT_CLOSE was written, and came into the log after it."""
    scribe = Scribe().open().checkpoint().events(2).control("AUDIT_CLOSE", records=4)
    return Case("Two checkpoints after AUDIT_CLOSE.", one(scribe.checkpoint(behind=1).checkpoint()), 0)


@case
def anchored() -> Case:
    """Standard output says the same."""
    scribe = finished()
    return Case("A log that ended in order, with its anchors.", one(scribe), 0, anchors=scribe.anchors())
