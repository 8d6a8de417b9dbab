"""What a log says about records that are not where they were written: pruned by rule, or put back from outside."""

from base64 import b64encode
from hashlib import sha256

from riskbus.format.merkle import Tree
from riskbus.format.pruning import KIND, Pruned
from riskbus.format.record import decode, from_line, renumber
from tests.agreement.cases import Case, Make, adding_to, edited, kinds_of, one
from tests.agreement.scribe import STREAM, Scribe, finished

CASES: dict[str, Make] = {}
case = adding_to(CASES)


def _pruned(scribe: Scribe, *segments: int, ends: tuple[int, ...] = (), sealed: int = 1) -> Pruned:
    """What must be said before these segments of an incarnation go, which ends before one of `ends` each."""
    records = [*ends, len(scribe.lines)][segments[-1]]
    tree = Tree()
    for line in scribe.lines[:records]:
        tree.append(from_line(line)[1])
    last = decode(from_line(scribe.lines[records - 1])[0])
    gone = [decode(from_line(line)[0]) for line in scribe.lines[:records]]
    return Pruned(
        incarnation=scribe.incarnation,
        stream=STREAM,
        public_key=scribe.key,
        previous=(),
        segments=tuple(scribe.name(number, [0, *ends][number]) for number in segments),
        records=records,
        edge=tree.edge,
        sealed=sealed,
        events=sum(not fields["event_type"].startswith("AUDIT_") for fields in gone),
        gap_events=0,
        first_ts=gone[0]["ts"],
        last_ts=last["ts"],
        last_ns=last["timestamp_ns"],
        closed=any(fields["event_type"] == "AUDIT_CLOSE" for fields in gone),
    )


def _declaring(scribe: Scribe, pruned: Pruned, *, seal: bool = True) -> Scribe:
    scribe.open(finished(0)).checkpoint().control(KIND, **pruned.payload(1827))
    return scribe.checkpoint().events(1) if seal else scribe


@case
def pruned_beginning() -> Case:
    """The first two of three segments were older than the retention."""
    first = finished(0)
    files = first.files(3, 6)
    del files[first.name(0, 0)], files[first.name(1, 3)]
    second = _declaring(Scribe(1), _pruned(first, 0, 1, ends=(3, 6), sealed=4))
    about = "Two segments were pruned; an AUDIT_PRUNED declares it, and what is left is proved from its edge on."
    return Case(about, files | one(second), 4, kinds_of("pruned"), first.anchors())


@case
def pruned_incarnation() -> Case:
    """The whole of it, down to AUDIT_CLOSE."""
    first = finished(0)
    second = _declaring(Scribe(1), _pruned(first, 0, sealed=9))
    return Case("An incarnation was pruned, and is declared.", one(second), 4, kinds_of("pruned"), first.anchors())


@case
def pruned_less_than_is_missing() -> Case:
    """A declaration covers what it says, and nothing more."""
    first = finished(0)
    files = first.files(3, 6)
    del files[first.name(0, 0)], files[first.name(1, 3)]
    second = _declaring(Scribe(1), _pruned(first, 0, ends=(3, 6)))
    kinds = kinds_of("pruned", "missing", "unproved", "anchor")
    return Case("One segment was pruned by declaration, and the next is missing.", files | one(second), 1, kinds)


@case
def pruned_without_a_seal() -> Case:
    """Nothing is removed before a checkpoint covers the declaration."""
    first = finished(0)
    second = _declaring(Scribe(1), _pruned(first, 0, sealed=9), seal=False)
    return Case("What is missing is declared by a record that nothing seals.", one(second), 1, kinds_of("pruned"))


@case
def pruned_with_a_seal_up_to_it() -> Case:
    """A checkpoint that came late covers everything but the declaration."""
    first = finished(0)
    second = _declaring(Scribe(1), _pruned(first, 0, sealed=9), seal=False).checkpoint(behind=1)
    about = "What is missing is declared by the record at which the checkpoint after it ends."
    return Case(about, one(second), 1, kinds_of("pruned"))


@case
def pruned_and_edited_behind() -> Case:
    """The edge of the tree proves what is left."""
    first = finished(0)
    forged = {first.name(1, 3): b"".join(edited(first)[3:])}
    second = _declaring(Scribe(1), _pruned(first, 0, ends=(3,)))
    return Case("What was left by pruning was edited.", forged | one(second), 1, kinds_of("pruned", "altered"))


@case
def pruned_by_a_declaration_that_contradicts_itself() -> Case:
    """Its root is not that over its edge."""
    first = finished(0)
    payload = _pruned(first, 0, sealed=9).payload(1827) | {"root": b64encode(bytes(32)).decode()}
    second = Scribe(1).open(first).checkpoint().control(KIND, **payload).checkpoint().events(1)
    about = "An incarnation is missing, and the AUDIT_PRUNED that declares it contradicts itself."
    return Case(about, one(second), 3, kinds_of("absent"))


def _respelled(node: str) -> str:
    """Return base64 of the same bytes that nobody writes: its spare bits are not 0."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return f"{node[:-2]}{digits[digits.index(node[-2]) + 1]}="


NO_DECLARATIONS: dict[str, dict[str, object]] = {
    **{f"{name}-missing": {name: ...} for name in _pruned(finished(0), 0).payload(1) if name != "reason"},
    "records-that-is-a-text": {"records": "9"},
    "records-with-a-fraction": {"records": 9.5},
    "sealed-that-is-a-text": {"sealed": "1"},
    "sealed-below-0": {"sealed": -1},
    "timestamp_ns-that-is-a-text": {"timestamp_ns": "5"},
    "events-that-is-a-text": {"events": "5"},
    "gap_events-that-is-too-large": {"gap_events": 2**63},
    "closed-that-is-a-number": {"closed": 1},
    "previous-that-is-a-text": {"previous": "abc"},
    "previous-without-its-members": {"previous": [{}]},
    "segments-that-is-a-number": {"segments": 5},
    "segments-of-numbers": {"segments": [5]},
    "edge-of-numbers": {"edge": [5]},
    "edge-with-spare-bits": {
        "edge": [_respelled(node) for node in _pruned(finished(0), 0, ends=(3,)).payload(1)["edge"]]
    },
    "edge-with-a-line-feed": {"edge": [f"{node}\n" for node in _pruned(finished(0), 0, ends=(3,)).payload(1)["edge"]]},
}
"""Changes of the payload of AUDIT_PRUNED after which it declares nothing; `...` for a member that is not there."""


def pruned_by(change: dict[str, object]) -> Case:
    """Return a log whose oldest segment is gone, and declared with these members in the place of the right ones."""
    first = finished(0)
    files = first.files(3)
    del files[first.name(0, 0)]
    payload = _pruned(first, 0, ends=(3,)).payload(1827) | change
    second = Scribe(1).open(finished(0)).checkpoint()
    second.control(KIND, **{name: value for name, value in payload.items() if value is not ...})
    about = "An incarnation lacks its beginning; an AUDIT_PRUNED that is none declares it."
    return Case(about, files | one(second.checkpoint()), 1, kinds_of("missing", "keyless", "anchor"))


@case
def ingested() -> Case:
    """Two records are the end of the killed incarnation; the next stands in the incarnation of the run."""
    killed = Scribe(0).open().checkpoint().events(5)
    files = killed.files(4, 6)
    del files[killed.name(2, 6)]
    end = killed.name(1, 4)
    run = Scribe(1).open(killed)
    run.add(renumber(1, from_line(killed.lines[6])[0]))
    run.control(
        "AUDIT_INGESTED",
        sources=["pod-output.txt"],
        events=1,
        runs=[[killed.incarnation, 6, 1, 1]],
        segments=[{"segment": end, "records": 2, "sha256": sha256(files[end]).hexdigest()}],
    )
    about = (
        "Records from standard output: a segment more of a killed incarnation, and an incarnation of riskbus ingest."
    )
    return Case(about, files | one(run.close()), 0)
