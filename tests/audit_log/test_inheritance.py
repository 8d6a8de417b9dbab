"""What an ended process had accepted: taken over by the next one, whatever happens to that one in turn."""

import fcntl
import mmap
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from riskbus.events import EventPriority, RiskEvent
from riskbus.format.record import encode_event
from riskbus.runtime import AuditLog
from riskbus.runtime.feed import take
from riskbus.runtime.inheritance import Inheritance
from riskbus.runtime.staging import CONTROL
from riskbus.settings import AuditSettings
from riskbus.store.ring_files import create_ring
from riskbus.store.ring_header import Header
from riskbus.store.ring_words import ROOM
from tests.audit_log.rings import feed_of, staging_on
from tests.audit_log.steps import every_step, killed_at_step

# Python 3.12 and later warn of every fork beside threads, which is what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

Read = Callable[[], list[dict[str, Any]]]

_SLOTS = 32
_LONG = b"{%b}" % (b"x" * ROOM)


class Life:
    """A process without a writer: it accepts, takes over, and calls durable what it is told to."""

    def __init__(self, staging_dir: Path, log_path: Path, name: str, *, shared: bool = True) -> None:
        self.ring = create_ring(staging_dir if shared else None, name * 32, str(log_path), _SLOTS)
        self.feed = feed_of(staging_on(self.ring))
        self.inheritance = Inheritance(self.feed, AuditSettings(path=log_path), lambda *_: None)
        self._directory = staging_dir

    def accept(self, *bodies: bytes) -> None:
        """Take bodies as `append` does."""
        for body in bodies:
            self.feed.stage(body, 1)

    def inherit(self) -> None:
        """Find rings and take over what is in them."""
        self.inheritance.find(self._directory)
        self.inheritance.take_over()

    def make_durable(self, below: int) -> None:
        """As the writer does when a batch reached the volume."""
        self.ring.release(below)
        self.inheritance.durable(below - 1)

    def waiting(self) -> list[bytes]:
        """Return what the volume does not have yet."""
        return [body for _, body, kind in take(self.feed, self.ring.released, 100) if kind < CONTROL]


Begin = Callable[..., Life]


@pytest.fixture
def begin(shared_memory: Path, tmp_path: Path) -> Begin:
    """Begin a life with a name of one digit, on the same log as the others."""
    return partial(Life, shared_memory, tmp_path / "risk_audit.jsonl")


def test_an_heir_killed_at_any_step_leaves_everything_to_the_next(begin: Begin, shared_memory: Path) -> None:
    """While it finds a ring, takes it over, accepts records of its own, and removes the ring when all is durable."""
    accepted = mmap.mmap(-1, mmap.PAGESIZE)

    def live() -> None:
        heir = begin("b")
        heir.inherit()
        for number, body in enumerate([b"{own}", _LONG], 1):
            heir.accept(body)
            accepted[0] = number
        heir.make_durable(2)

    def run(step: int) -> bool:
        accepted[0] = 0
        old = begin("a")
        old.accept(*[_LONG] * 5, b"{inherited}", _LONG)
        old.make_durable(5)
        old.ring.give_up()
        killed = killed_at_step(step, live)
        durable = _released(shared_memory / f"riskbus-{'b' * 32}.ring")
        next_one = begin("c")
        next_one.inherit()
        everything = [b"{inherited}", _LONG, b"{own}", _LONG]
        assert next_one.waiting() in [everything[durable : 2 + accepted[0] + one] for one in (0, 1)], f"step {step}"
        next_one.make_durable(len(everything))
        next_one.ring.remove()
        next_one.ring.give_up()
        assert list(shared_memory.iterdir()) == []
        return killed

    assert every_step(run, stride=53) > 1000


def test_rings_stay_abandoned_while_the_log_cannot_be_read(shared_memory: Path) -> None:
    """What is on the volume decides what is missing there: a volume that cannot say so now is asked again."""
    log = shared_memory / "audit"
    log.mkdir()
    old, heir = (Life(shared_memory, log / "risk_audit.jsonl", name) for name in "ab")
    old.accept(b"{inherited}", _LONG)
    old.ring.give_up()
    log.chmod(0o311)
    with unprivileged(shared_memory), pytest.raises(PermissionError):
        heir.inherit()
    log.chmod(0o755)
    heir.inherit()
    assert heir.waiting() == [b"{inherited}", _LONG]


def test_what_an_heir_without_shared_memory_takes_over_stays_where_it_is_safe(begin: Begin) -> None:
    """Rings of ended processes may be what fills the memory; the heir's own ends with it."""
    old = begin("a")
    old.accept(b"{inherited}", _LONG)
    old.ring.give_up()
    heir = begin("b", shared=False)
    heir.inherit()
    assert heir.waiting() == [b"{inherited}", _LONG]
    heir.inheritance.release()  # as its end does
    next_one = begin("c")
    next_one.inherit()
    assert next_one.waiting() == [b"{inherited}", _LONG]


@contextmanager
def unprivileged(directory: Path) -> Iterator[None]:
    """Be someone who may do nothing but use the files below this directory, where root may do everything."""
    if os.geteuid():
        yield
        return
    for path in (directory, *directory.iterdir()):
        os.chown(path, 65532, -1)
    directory.parent.chmod(0o755)
    os.seteuid(65532)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def descriptors_left(spare: int) -> Iterator[None]:
    """Let this process open only so many more."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open("/", os.O_RDONLY)
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe + spare, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def _released(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("r+b") as file:
        return Header(mmap.mmap(file.fileno(), 0)).released


def test_a_ring_that_someone_looks_at_is_taken_over_later(begin: Begin, shared_memory: Path) -> None:
    """`riskbus doctor` locks the rings of ended processes for a moment."""
    old, heir = begin("a"), begin("b")
    old.accept(b"{inherited}")
    old.ring.give_up()
    heir.accept(b"{own}")
    with (shared_memory / f"riskbus-{'a' * 32}.ring").open("rb") as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_SH | fcntl.LOCK_NB)
        heir.inherit()
        assert heir.waiting() == [b"{own}"]
        heir.make_durable(1)
    heir.inherit()
    assert heir.waiting() == [b"{inherited}"]


def test_whichever_descriptor_is_refused_nothing_is_lost(begin: Begin) -> None:
    """A process that is out of descriptors cannot take everything over at once: it looks again."""
    for spare in range(12):
        first, second = begin("a"), begin("b")
        first.accept(_LONG, b"{one}")
        second.accept(b"{two}", _LONG)
        for old in (first, second):
            old.ring.give_up()
        heir = begin("c")
        heir.accept(b"{own}")
        with descriptors_left(spare), suppress(OSError):
            heir.inherit()
        heir.make_durable(1)
        heir.inherit()
        assert sorted(heir.waiting()) == sorted([_LONG, b"{one}", b"{two}", _LONG])
        heir.make_durable(5)
        heir.ring.remove()
        heir.ring.give_up()


def test_the_log_looks_again_for_what_it_could_not_take_over(
    open_log: Callable[..., AuditLog], path: Path, event: Callable[..., RiskEvent], events: Read, shared_memory: Path
) -> None:
    """Within about a second: whoever looked at the ring is done by then."""
    old = create_ring(shared_memory, "a" * 32, str(path), _SLOTS)
    old.put(0, encode_event(event(number=0)), EventPriority.NORMAL)
    old.give_up()
    assert old.path is not None
    with old.path.open("rb") as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_SH | fcntl.LOCK_NB)
        log = open_log()
        assert log.append(event(number=1)).wait_durable(30)
        assert old.path.exists()
    while old.path.exists():
        assert log.flush(1)
    assert [record["data"]["number"] for record in events()] == [1, 0]
