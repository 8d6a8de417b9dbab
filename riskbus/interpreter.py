"""Refuses an interpreter on which the audit log would not be safe. Importing it is the check; it imports nothing else.

Publishers hand records to the writer without a lock of ours: each step rests on being one operation under the global
interpreter lock. Without it a record could be lost, and nothing would say so.
"""

import sys


def _refuse_without_gil() -> None:
    enabled = getattr(sys, "_is_gil_enabled", None)  # Python 3.13 and later
    if enabled is not None and not enabled():
        raise ImportError(
            "riskbus needs Python's global interpreter lock, and this free-threaded Python runs without it; "
            "start it with PYTHON_GIL=1 or -X gil=1, or use a build that is not free-threaded"
        )


_refuse_without_gil()
