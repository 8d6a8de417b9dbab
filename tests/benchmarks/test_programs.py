"""The benchmarks are programs that end well and give the figures that the docs speak of. Their values are no test."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.load import WRITERS

FIGURES = {
    "append_latency": ("append p50 / floor, {}", "append p99 / floor, {}", "append p99.9 / floor, {}"),
    "append_scaling": ("append, 4 threads / 1, bursts of 12,000, {}", "append, 4 threads / 1, bursts of 50,000, {}"),
    "throughput": ("sustained events / floor, {}",),
    "durable_latency": (
        "durable p50 / floor, sync, {}",
        "durable p99 / floor, sync, {}",
        "(durable p50 - tick) / floor, group, {}",
        "(durable p99 - tick) / floor, group, {}",
    ),
    "memory": ("rss added to the trading process, {}", "uss added to the trading process, {}"),
    "publish_latency": (
        "publish p50 / floor, {}",
        "publish p99 / floor, {}",
        "publish p99.9 / floor, {}",
        "events a second / direct call, {}",
        "events a second / naive bus, {}",
    ),
    "publish_scaling": ("publish, 4 threads / 1, bursts of 12,000, {}", "publish, 4 threads / 1, bursts of 50,000, {}"),
    "critical_lane": (
        "inline p50, busy publisher, 0.1 ms, {}",
        "inline worst, busy publisher, 0.1 ms, {}",
        "worker p50, busy publisher, 0.1 ms, {}",
        "worker worst, sleeping publisher, 0.1 ms, {}",
        "backlog drains / what its handlers take, {}",
    ),
    "dispatch_peers": ("events a second, riskbus, inline / direct call",),
    "soak_memory": ("growth, {}", "collections caused, {}"),
    "verify": ("verify / floor, riskbus verify, 1 core", "verify, megabytes a second"),
}
NEEDS_ROOT = {"append_under_faults": ("append p99 / healthy, frozen, {}", "append p99 / healthy, full, {}")}


@pytest.mark.faults
@pytest.mark.skipif(bool(os.geteuid()), reason="needs root, to mount small file systems")
@pytest.mark.parametrize("program", NEEDS_ROOT)
def test_a_quick_run_on_failing_volumes_ends_well_and_gives_every_figure(program: str, tmp_path: Path) -> None:
    """The same for what only root can show."""
    run_quickly(program, NEEDS_ROOT[program], tmp_path)


@pytest.mark.parametrize("program", FIGURES)
def test_a_quick_run_ends_well_and_gives_every_figure(program: str, tmp_path: Path) -> None:
    """Whoever reads the tables in the docs can make them again."""
    run_quickly(program, FIGURES[program], tmp_path)


def run_quickly(program: str, figures: tuple[str, ...], tmp_path: Path) -> None:
    """Run a program; it must end well, with figures of these names."""
    saved = tmp_path / "run.json"
    command = [sys.executable, "-m", f"benchmarks.{program}", "--quick", "--output", str(saved)]
    command += ["--directory", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    run = json.loads(saved.read_text())
    assert run["machine"].keys() >= {"cpu", "kernel", "python", "log directory"}
    values = {figure["name"]: figure["value"] for figure in run["benchmarks"][0]["figures"]}
    wanted = {name.format(f"{writer} writer") for name in figures for writer in WRITERS}
    assert wanted <= values.keys()
    assert all(math.isfinite(value) for value in values.values())
    assert "figure" in ended.stdout
