"""Real things made handy for tests: nothing here pretends.

What may live here: helpers for the tests of programs that use riskbus. They stand on top of everything else, and
production code imports none of them. A recording bus is a real bus on a real audit log; only the clock is make-believe,
because a test cannot wait.
"""

from riskbus.testing.bus import RecordingBus
from riskbus.testing.clock import FakeClock
from riskbus.testing.inbox import Inbox
from riskbus.testing.records import read_events, read_records

__all__ = ["FakeClock", "Inbox", "RecordingBus", "read_events", "read_records"]
