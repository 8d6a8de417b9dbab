"""The shared memory in which accepted records wait for the volume."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from riskbus.cli.checkup.check import Check, Result
from riskbus.mount import in_container, readable_size, try_to_write
from riskbus.mount.judgement import TMPFS
from riskbus.mount.mountinfo import find_mount, read_mounts
from riskbus.settings import AuditSettings
from riskbus.store.leftovers import find_leftovers

_LOSS = "records on their way would end with the process"
_REMEDY = "mount an emptyDir with medium: Memory and name it in RISK_AUDIT_STAGING_DIR"


def check_memory(settings: AuditSettings) -> Iterator[Check]:
    """Say whether accepted records outlive their process, and whether some of an ended process still wait."""
    directory = Path(os.path.realpath(settings.staging_dir))
    yield _staging(directory, settings.staging_size)
    leftovers = list(find_leftovers(directory, Path(os.path.abspath(settings.path))))  # noqa: PTH100 -- asks nobody
    if not leftovers:
        yield Check("rings", Result.OK, "no ring of an ended process is left.")
        return
    waiting = sum(ring.waiting for ring in leftovers if ring.ours)
    memory = readable_size(sum(ring.size for ring in leftovers))
    what = f"rings of ended processes ({len(leftovers)}) take {memory} in {directory}"
    if waiting:
        message = f"{what} and hold up to {waiting:,} records of this log; start it here once more, and it writes them."
        yield Check("rings", Result.WARN, message)
    elif any(ring.ours for ring in leftovers):
        yield Check("rings", Result.OK, f"{what}; this log removes its own at its next start.")
    else:
        message = f"{what}, of other logs; each is removed when its log starts here again, and is not to be deleted."
        yield Check("rings", Result.WARN, message)


def _staging(directory: Path, size: int) -> Check:
    mount = find_mount(read_mounts(), PurePosixPath(directory))
    try:
        statistics = os.statvfs(f"{directory}/.")
    except OSError as error:
        message = f"{directory} cannot be used ({error.strerror}), so {_LOSS}; {_REMEDY}."
        return Check("staging", Result.WARN, message)
    if mount is None or mount.filesystem not in TMPFS:
        message = f"{directory} is not a memory file system, so {_LOSS}; {_REMEDY}."
        return Check("staging", Result.WARN, message)
    free = statistics.f_bavail * statistics.f_frsize
    if free < size:
        what = f"{directory} has {readable_size(free)} free and a ring takes {readable_size(size)}"
        message = f"{what}, so {_LOSS}; enlarge it, or lower RISK_AUDIT_STAGING_SIZE."
        return Check("staging", Result.WARN, message)
    refusal = try_to_write(directory)
    if refusal is not None:
        message = f"no file can be made in {directory} ({refusal.strerror}), so {_LOSS}; {_REMEDY}."
        return Check("staging", Result.WARN, message)
    what = f"{directory} is {mount.filesystem} with {readable_size(free)} free for rings of {readable_size(size)}"
    if in_container() and "KUBERNETES_SERVICE_HOST" not in os.environ:
        message = f"{what}; outside Kubernetes it ends with its container, so mount the host's memory there."
        return Check("staging", Result.WARN, message)
    return Check("staging", Result.OK, f"{what}; it outlives the process and, in a pod, its container.")
