"""Real things made handy for tests: nothing here pretends.

What may live here: helpers for the tests of programs that use riskbus. They stand on top of everything else, and
production code imports none of them. A recording bus is a real bus on a real audit log; only the clock is make-believe,
because a test cannot wait. pytest finds the fixtures of `riskbus.testing.plugin` by itself; nothing else here needs it.
"""

from riskbus.testing.assertions import assert_complete, assert_not_published, assert_published, assert_recorded
from riskbus.testing.bus import RecordingBus
from riskbus.testing.clock import FakeClock
from riskbus.testing.inbox import Inbox
from riskbus.testing.log import MemoryAuditLog
from riskbus.testing.records import read_events, read_records

__all__ = [
    "FakeClock",
    "Inbox",
    "MemoryAuditLog",
    "RecordingBus",
    "assert_complete",
    "assert_not_published",
    "assert_published",
    "assert_recorded",
    "read_events",
    "read_records",
]
