"""The running audit log: threads, hand-over, group commit, the failure ladder, checkpoints.

Everything concurrent lives here. Files are touched only through riskbus.store, bytes are made only by riskbus.format.
"""

from riskbus.format.checkpoint import Checkpoint
from riskbus.runtime.log import AuditLog
from riskbus.runtime.receipt import Receipt
from riskbus.status import LogStatus

__all__ = ["AuditLog", "Checkpoint", "LogStatus", "Receipt"]
