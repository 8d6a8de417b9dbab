"""A snapshot of how an audit log is doing."""

from dataclasses import dataclass
from enum import StrEnum

from riskbus.clock import ClockStatus
from riskbus.mount import MountReport


class State(StrEnum):
    """What the writer does."""

    OPENING = "opening"
    WRITING = "writing"
    FAILING = "failing"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class LogStatus:
    """How an audit log is doing.

    Attributes:
        state: opening (the volume has not answered yet), writing, failing (the volume refuses), closed.
        stream: name of the stream.
        incarnation: of this process' writer.
        path: the path that users follow.
        seq: number of the newest record, -1 for none.
        durable_seq: every record up to this number is durable, -1 for none.
        checkpoint: the newest signed note, "" for none.
        public_key: the verifier key that belongs to it.
        mount: what the volume is; None until it answered.
        clock: quality of the clock.
        write_failures: writes and syncs that the volume refused.
        emergency_events: records that went to the emergency stream.
        lost_events: events that the log could not take at all; they are in the emergency stream only.
        on_second_directory: whether records go to the second directory, because the first refuses them.
    """

    state: State
    stream: str
    incarnation: str
    path: str
    seq: int
    durable_seq: int
    checkpoint: str
    public_key: str
    mount: MountReport | None
    clock: ClockStatus
    write_failures: int
    emergency_events: int
    lost_events: int
    on_second_directory: bool = False
