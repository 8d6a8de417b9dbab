"""The hand-over from publishers to writer as a state machine, with ends of the process in between."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from riskbus.runtime.feed import take
from riskbus.store.ring_words import ROOM
from tests.audit_log.rings import feed_of, find_rings, make_ring, staging_on


class Handover(RuleBasedStateMachine):
    """Publishers, a writer and ends of the process in any order, against a list of what was accepted."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = TemporaryDirectory(dir="/dev/shm")
        self._path = Path(self._directory.name)
        self._life = 0
        self._serial = 0
        self._begin()

    def _begin(self) -> None:
        self._staging = staging_on(make_ring(self._path, f"{self._life:032x}"))
        self._feed = feed_of(self._staging)
        self._next = 0
        self._claimed: list[int] = []
        self._shared: dict[int, bytes] = {}  # accepted, not durable
        self._taken: list[int] = []
        self._life += 1

    def _body(self, size: int) -> bytes:
        self._serial += 1
        return b"%d" % self._serial + b"." * size

    def teardown(self) -> None:
        """Leave nothing behind."""
        self._directory.cleanup()

    @rule()
    def claim(self) -> None:
        """A publisher begins."""
        self._claimed.append(self._staging.claim())

    @precondition(lambda self: self._claimed)
    @rule(which=st.randoms(use_true_random=False), size=st.sampled_from([0, 300, ROOM - 30, ROOM + 50]))
    def put(self, which: Any, size: int) -> None:
        """Any of those who began puts its record down."""
        seq = self._claimed.pop(which.randrange(len(self._claimed)))
        record = b'{"seq":%d,"%b"}' % (seq, self._body(size))
        self._staging.put(seq, record, 1)
        self._shared[seq] = record

    @rule()
    def take(self) -> None:
        """The writer takes what comes next, in order, as it was put down."""
        for seq, record, _ in take(self._feed, self._next, 100):
            assert seq == self._next
            self._next += 1
            assert self._shared[seq] == record
            self._taken.append(seq)

    @precondition(lambda self: self._taken)
    @rule()
    def make_durable(self) -> None:
        """What was taken reaches the volume."""
        self._staging.ring.release(self._taken[-1] + 1)
        self._shared = {seq: record for seq, record in self._shared.items() if seq > self._taken[-1]}

    @rule()
    def die_and_inherit(self) -> None:
        """The process ends without a word; the next one finds everything that was in shared memory."""
        self._staging.ring.give_up()
        expected = [record for _, record in sorted(self._shared.items())]
        self._begin()
        (ring,) = find_rings(self._path)
        assert [held.body for held in ring.held()] == expected
        ring.remove()
        ring.give_up()

    @rule()
    def end_the_writer(self) -> None:
        """The next one begins with the first record that is not durable."""
        self._next = self._staging.ring.released
        self._taken = []

    @invariant()
    def nothing_accepted_is_forgotten(self) -> None:
        """Every record that was put down and is not durable can still be taken, or waits for an earlier number."""
        assert {seq for seq, _, _ in self._staging.leftovers()} == set(self._shared)


Handover.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestHandover = Handover.TestCase
