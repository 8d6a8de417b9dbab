"""The process that `benchmarks.memory` looks at. Imports nothing of riskbus before it has measured itself without."""

import gc
import importlib
from pathlib import Path

_EVENTS_AT_ONCE = 1000  # of the running bus, between two waits for the disk


def stages(path: str, events: int) -> dict[str, float]:
    """Return the memory of this process in MiB: bare, with riskbus imported, and with a bus that has worked.

    Args:
        path: of the audit log.
        events: how many the bus publishes before the last look.
    """
    found = _labelled("bare", "self")
    riskbus = importlib.import_module("riskbus")
    found |= _labelled("imported", "self")
    with riskbus.RiskEventBus(audit_log_path=path) as bus:
        bus.subscribe(riskbus.EventType.LIMIT_BREACH, lambda _: None)
        for number in range(events):
            payload = {"limit": 10, "position": number}
            event = riskbus.RiskEvent(
                riskbus.EventType.LIMIT_BREACH, riskbus.EventPriority.NORMAL, "FeedStalenessCalculator", payload
            )
            receipt = bus.publish(event)
            if number % _EVENTS_AT_ONCE == 0:
                receipt.wait_durable(30)
        bus.audit_log.flush(30)
        found |= _labelled("running", "self")
        for child in children():
            found |= _labelled("writer", child)
    return found | {"recorded": events}


def children() -> list[str]:
    """Return the numbers of the processes that this one started."""
    tasks = Path("/proc/self/task").glob("*/children")
    return [child for task in tasks for child in task.read_text(encoding="ascii").split()]


def _labelled(stage: str, process: str) -> dict[str, float]:
    gc.collect()
    lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    kibibytes = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}
    uss = kibibytes["Private_Clean"] + kibibytes["Private_Dirty"]
    return {
        f"{stage} rss": kibibytes["Rss"] / 1024,
        f"{stage} pss": kibibytes["Pss"] / 1024,
        f"{stage} uss": uss / 1024,
    }
