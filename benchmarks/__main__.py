"""Every benchmark, one after the other. docs/benchmarks.md says what each figure means."""

from importlib import import_module

from benchmarks.common import run

_PROGRAMS = (
    "append_latency",
    "append_scaling",
    "throughput",
    "durable_latency",
    "append_under_faults",
    "memory",
    "publish_latency",
    "publish_scaling",
    "critical_lane",
    "dispatch_peers",
    "soak_memory",
    "verify",
)

if __name__ == "__main__":
    run({name: import_module(f"benchmarks.{name}").measure for name in _PROGRAMS}, __doc__)
