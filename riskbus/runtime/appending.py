"""Recording an event: serialise it, claim a number, put it down. See `riskbus.runtime.staging`.

There are two forms of it with the same behaviour, in Python and in C.
"""

from collections.abc import Callable

from orjson import Fragment

from riskbus.events import EventPriority, RiskEvent, check_event
from riskbus.format.record import as_json, as_one_line, dumps, encode_event
from riskbus.native import hot
from riskbus.runtime.progress import Progress
from riskbus.runtime.receipt import Receipt
from riskbus.runtime.staging import Staging
from riskbus.store.ring import NEAR, SLOT
from riskbus.store.ring_header import SIZE
from riskbus.store.ring_words import ROOM, UNIT, mark

_CRITICAL = EventPriority.CRITICAL

Append = Callable[[RiskEvent], Receipt]
"""Records an event."""

SecondLook = Callable[[int, RiskEvent], Receipt | None]
"""Asked with number and event whether the record is in good hands; None if it is."""


def make_append(staging: Staging, progress: Progress, second_look: SecondLook) -> Append:
    """Return the function that records an event, the hottest path there is.

    Args:
        staging: where records go.
        progress: what receipts ask.
        second_look: called with number and event after the record was put down, where `attention` is set or the event
            is CRITICAL; wakes the writer, and returns another receipt if nobody will take the record any more.
    """
    if hot is None:
        return _in_python(staging, progress, second_look)
    made: Append = hot.Append(
        staging=staging,
        numbers=staging.numbers,
        memory=staging.ring.memory,
        slots=staging.ring.slots,
        progress=progress,
        dumps=dumps,
        as_json=as_json,
        check=check_event,
        payloads=[None, Fragment(b"\n"), None],
        encode=encode_event,
        put=staging.put_event,
        stranded=staging.stranded,
        rescue=staging.rescue,
        second_look=second_look,
        receipt=Receipt,
    )
    return made


def _in_python(staging: Staging, progress: Progress, second_look: SecondLook) -> Append:
    # One function over local names, as each call and each attribute of an object would cost it a twentieth.
    claim, stranded = staging.claim, staging.stranded
    put_with_annex = staging.ring.put
    memory, words, mask = staging.ring.memory, staging.ring.slot_words, staging.ring.slots - 1
    marks = tuple(map(mark, EventPriority))
    new_receipt = object.__new__

    def append(event: RiskEvent) -> Receipt:
        if event.__class__ is not RiskEvent:
            check_event(event)
        try:
            body = as_one_line(dumps(event.fields, as_json))
            kind = event.priority
            length = len(body)
            marked = marks[kind] + length
        except BaseException as error:  # noqa: BLE001 -- orjson refused the payload, or KeyboardInterrupt came
            seq = staging.rescue(event, error)
        else:
            seq = claim()
            try:
                if length <= NEAR and seq <= staging.limit:
                    index = seq & mask  # from here on as Ring.put, and multiplied, as shifting costs more
                    start = index * SLOT + SIZE
                    memory[start : start + length] = body
                    words[index] = seq * UNIT + marked
                elif length <= ROOM and seq <= staging.limit:
                    put_with_annex(seq, body, kind)
                else:
                    seq = staging.put_event(seq, body, kind)
            except BaseException as error:  # no call of our own from here: there may be no stack for it
                stranded.append((seq, body, kind))
                if not isinstance(error, Exception):
                    raise
        receipt: Receipt = new_receipt(Receipt)  # as calling it does, at half the cost
        receipt.seq = seq
        receipt.progress = progress
        if staging.attention or event.priority is _CRITICAL:
            return second_look(seq, event) or receipt
        return receipt

    return append
