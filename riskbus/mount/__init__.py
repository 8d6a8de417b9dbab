"""What the directory of the audit log is mounted on, and whether evidence is safe there.

Only questions to the kernel about a path live here: mount table, file system statistics, one real write. Nothing here
knows about records, logs or Kubernetes' API.
"""

from riskbus.mount.judgement import readable_size
from riskbus.mount.report import MountReport, Reason, Verdict
from riskbus.mount.validation import in_container, try_to_write, validate_mount

__all__ = ["MountReport", "Reason", "Verdict", "in_container", "readable_size", "try_to_write", "validate_mount"]
