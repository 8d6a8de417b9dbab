"""The threads that serve mailboxes, most urgent first.

::

    publish ─▶ lane CRITICAL ─────▶ reserved worker (nothing else)
               │ while it is busy
               ▼
               lane HIGH ─┐
               lane NORMAL┼───────▶ general workers: CRITICAL, HIGH, NORMAL, LOW;
               lane LOW ──┘         every eighth turn LOW, NORMAL, HIGH, CRITICAL

A lane holds mailboxes, not events: one entry for each mailbox that has something to do. A token in a `SimpleQueue`,
whose `put` neither blocks nor takes a lock that Python code holds, wakes a worker for one turn: it takes the most
urgent mailbox there is, whoever the token was meant for. So that no mailbox is left without a token, a worker that has
taken one and sees more puts a token back when there is none.

There is one general worker as long as one gets the work done; when all of them are stuck in handlers, `relieve` adds
another.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue

from riskbus.bus.delivery import Delivery
from riskbus.bus.lifecycle import end_child
from riskbus.bus.mailbox import Mailbox, serving
from riskbus.bus.saying import harmless
from riskbus.events import EventPriority

_TURN_EVENTS = 64
"""Events of one mailbox before others of its lane get their turn."""

_SHARE = 8
"""Every such turn of a general worker begins with the least urgent lane, so that LOW goes on under any storm: CRITICAL
has the reserved worker meanwhile."""

_CRITICAL_ONLY = (EventPriority.CRITICAL,)
_URGENT_FIRST = tuple(EventPriority)
_LEAST_URGENT_FIRST = tuple(reversed(EventPriority))


class Worker:
    """One thread and what the watch needs to know about it.

    Attributes:
        busy: Whether it has taken a token and not finished with it.
        handled: Events it has handled, so that the watch can tell slow from stuck.
    """

    def __init__(self, name: str, run: Callable[["Worker"], None], tokens: SimpleQueue[bool]) -> None:
        self.busy = False
        self.handled = 0
        self.tokens = tokens
        self.thread = threading.Thread(target=run, args=(self,), name=name, daemon=True)
        self.thread.start()


class Workers:
    """Serves the mailboxes of synchronous handlers.

    Thread-safety: every method from any thread; `schedule` from a signal handler too.

    Args:
        max_workers: Most threads that run handlers, the reserved one included; at least 2. `resize` changes it.
        delivery: Calls the handlers.
        ask: Has `relieve` called soon.
    """

    def __init__(self, max_workers: int, delivery: Delivery, ask: Callable[[], None]) -> None:
        self._delivery = delivery
        self._max_workers = max_workers
        self._lanes: tuple[deque[Mailbox], ...] = tuple(deque() for _ in EventPriority)
        self._critical_tokens: SimpleQueue[bool] = SimpleQueue()
        self._general_tokens: SimpleQueue[bool] = SimpleQueue()
        self._ask = ask
        self._seen: list[int] = []
        self._starting = threading.Lock()  # held once the threads run
        self._stopping = False
        self._pid = os.getpid()
        self._reserved: Worker | None = None
        self._changing = threading.RLock()  # a signal handler may publish while this thread changes their number
        self._general: tuple[Worker, ...] = ()
        self._added = self._leaving = 0  # general workers so far; those that were told to end and have not yet

    def start(self) -> None:
        """Start the threads, if that was not done yet. What was scheduled before is served then."""
        if self._starting.acquire(blocking=False):
            self._reserved = Worker("riskbus-critical", self._run_reserved, self._critical_tokens)
            self._add_general_worker()

    def schedule(self, mailbox: Mailbox) -> None:
        """Have a claimed mailbox served. Neither blocks nor fails."""
        if self._reserved is None:
            self.start()
        self._lanes[mailbox.priority].append(mailbox)
        if mailbox.priority is not EventPriority.CRITICAL:
            self._general_tokens.put(True)
            return
        self._critical_tokens.put(True)
        if self._reserved is not None and self._reserved.busy:
            self._ask_general_workers()

    def resize(self, max_workers: int) -> None:
        """Have at most so many threads. What is too many ends after the handlers it is in; does not wait for that."""
        with self._changing:
            self._max_workers = max_workers
            too_many = max(0, len(self._general) - self._leaving + 1 - max_workers)
            self._leaving += too_many
        for _ in range(too_many):
            self._general_tokens.put(False)

    def stop(self) -> None:
        """Let every worker end after the handler it is in. Does not wait."""
        self._critical_tokens.put(False)
        with self._changing:  # nobody comes after this
            self._stopping = True
            remaining = len(self._general)
        for _ in range(remaining):
            self._general_tokens.put(False)

    @property
    def running(self) -> bool:
        """Whether the threads run."""
        return self._reserved is not None

    def relieve(self, asked: bool) -> None:
        """Add a worker where all are stuck: no event handled since the last call, or somebody asks. One thread only."""
        handled = [worker.handled for worker in self._general]
        stuck = asked or handled == self._seen
        self._seen = handled
        if stuck and self._all_busy_with_work_waiting():
            with suppress(RuntimeError):  # the interpreter is ending, and starts no more threads
                self._add_general_worker()

    def _ask_general_workers(self) -> None:
        if self._general_tokens.empty():
            self._general_tokens.put(True)
        if self._lanes[EventPriority.CRITICAL] and all(worker.busy for worker in self._general):
            self._ask()

    def _run_reserved(self, worker: Worker) -> None:
        while worker.tokens.get():
            self._serve_one_of(worker, _CRITICAL_ONLY)

    def _run_general(self, worker: Worker) -> None:
        turns = 0
        while worker.tokens.get():
            turns += 1
            self._serve_one_of(worker, _URGENT_FIRST if turns % _SHARE else _LEAST_URGENT_FIRST)
        with self._changing:
            self._general = tuple(other for other in self._general if other is not worker)
            self._leaving -= 1

    def _serve_one_of(self, worker: Worker, order: tuple[EventPriority, ...]) -> None:
        worker.busy = True  # before the lanes are looked at: who schedules after this look sees it
        mailbox = _pop(self._lanes, order)
        if self._lanes[EventPriority.CRITICAL] or (order is not _CRITICAL_ONLY and any(self._lanes)):
            self._ask_general_workers()  # what this worker took may hold it for long
        if mailbox is not None:
            self._take_turn(worker, mailbox)
        worker.busy = False

    def _take_turn(self, worker: Worker, mailbox: Mailbox) -> None:
        """Serve a mailbox until it is empty, had its share, or something more urgent waits."""
        serving.set(mailbox)
        self._call_handler(worker, mailbox)
        serving.set(None)
        mailbox.in_hand = None
        if os.getpid() != self._pid:  # a handler forked and came back: nothing else would end that process
            end_child()
        if mailbox.release():
            self.schedule(mailbox)

    @harmless
    def _call_handler(self, worker: Worker, mailbox: Mailbox) -> None:
        more_urgent = self._lanes[: mailbox.priority]
        call_next = self._delivery.call_next
        for _ in range(_TURN_EVENTS):
            if not call_next(mailbox):
                break
            worker.handled += 1
            if any(more_urgent):
                break

    def _add_general_worker(self) -> None:
        with self._changing:
            if self._stopping:
                return
            self._added += 1
            name = f"riskbus-worker-{self._added}"
            self._general = (*self._general, Worker(name, self._run_general, self._general_tokens))

    def _all_busy_with_work_waiting(self) -> bool:
        return (
            len(self._general) + 1 < self._max_workers
            and any(self._lanes)
            and all(worker.busy for worker in self._general)
        )


def _pop(lanes: tuple[deque[Mailbox], ...], order: tuple[EventPriority, ...]) -> Mailbox | None:
    for priority in order:
        try:
            return lanes[priority].popleft()
        except IndexError:
            continue
    return None
