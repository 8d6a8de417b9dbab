"""What every benchmark has: its command line, the machine it ran on, a table for people, JSON for machines."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from benchmarks.measuring import RunError, Sample, typical
from riskbus import native
from riskbus.mount.mountinfo import find_mount, read_mounts

STAGING = Path("/dev/shm")  # noqa: S108 -- the default of RISK_AUDIT_STAGING_DIR
_DIRECTORY = Path("build/benchmarks")
_REPETITIONS = 5


@dataclass(frozen=True, slots=True)
class Options:
    """How a benchmark is run.

    Attributes:
        quick: only show that the program works; the figures mean nothing.
        repetitions: of every contender.
        directory: where logs are written; on a real disk, for durability to cost what it costs.
        scale: multiplies the length of what a benchmark measures.
    """

    quick: bool
    repetitions: int
    directory: Path
    scale: float

    def count(self, full: int, quick: int) -> int:
        """Return how many events to measure."""
        return quick if self.quick else max(quick, int(full * self.scale))


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that the project promises something about.

    Attributes:
        name: what it is.
        value: the median of the repetitions.
        unit: "x" for ratios.
        at_most, at_least: the goal; None where there is none.
    """

    name: str
    value: float
    unit: str = "x"
    at_most: float | None = None
    at_least: float | None = None

    @property
    def goal(self) -> str:
        """The goal in words, "" for none."""
        limits = (("<=", self.at_most), (">=", self.at_least))
        return " ".join(f"{sign} {limit:g} {self.unit}" for sign, limit in limits if limit is not None)

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if not self.goal:
            return None
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )

    def as_json(self) -> dict[str, Any]:
        """Return what a machine wants to know."""
        return {"name": self.name, "value": self.value, "unit": self.unit, "goal": self.goal, "met": self.met}


@dataclass(slots=True)
class Report:
    """What a benchmark found.

    Attributes:
        title: what was measured, in a sentence.
        columns: headings of the table; the first is the contender's.
        rows: one for each contender.
        figures: ratios, and whether they are what they should be.
        notes: what a reader must know, for example what was left out.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str | float, ...]] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add_medians(self, results: dict[str, list[Sample]], keys: Iterable[str]) -> None:
        """Add a row of medians for each contender; a key that it did not measure stays empty."""
        for name, samples in results.items():
            cells = (typical(samples, key) if key in samples[0] else "" for key in keys)
            self.rows.append((name, *cells))

    def as_json(self) -> dict[str, Any]:
        """Return what a machine wants to know."""
        return {
            "title": self.title,
            "table": [dict(zip(self.columns, row, strict=True)) for row in self.rows],
            "figures": [figure.as_json() for figure in self.figures],
            "notes": self.notes,
        }

    def as_text(self) -> str:
        """Return tables for people."""
        parts = [self.title, table(self.columns, self.rows)]
        if self.figures:
            marks = {True: "met", False: "NOT MET", None: ""}
            rows = [
                (each.name, f"{_number(each.value)} {each.unit}", each.goal, marks[each.met]) for each in self.figures
            ]
            parts.append(table(("figure", "value", "goal", ""), rows))
        parts += [f"note: {note}" for note in self.notes]
        return "\n\n".join(parts)


class SkippedError(Exception):
    """A benchmark cannot run here; the message says why."""


Benchmark = Callable[[Options], Report]


def main(benchmark: Benchmark) -> None:
    """Run one benchmark, as its command line says."""
    spec = sys.modules["__main__"].__spec__
    name = spec.name.rpartition(".")[2] if spec else Path(sys.argv[0]).stem
    run({name: benchmark}, sys.modules["__main__"].__doc__)


def run(benchmarks: Mapping[str, Benchmark], description: str | None) -> None:
    """Run benchmarks one after the other, as the command line says. Ends the program, with 1 if one of them failed."""
    given = _parser(description).parse_args()
    given.directory.mkdir(parents=True, exist_ok=True)
    repetitions = given.repetitions or (1 if given.quick else _REPETITIONS)
    options = Options(given.quick, repetitions, given.directory.resolve(), given.scale)
    document: dict[str, Any] = {"machine": machine(options.directory), "quick": options.quick}
    document |= {"repetitions": repetitions, "benchmarks": []}

    def say(text: str) -> None:
        if not given.json:
            print(text, end="\n\n", flush=True)

    say("\n".join(f"{key}: {value}" for key, value in document["machine"].items()))
    for name, benchmark in benchmarks.items():
        found, text = _run_one(benchmark, options)
        document["benchmarks"].append({"name": name} | found)
        say(f"== {name}\n\n{text}")
    as_json = json.dumps(document, indent=2)
    if given.output:
        given.output.write_text(as_json + "\n", encoding="utf-8")
    if given.json:
        print(as_json)
    sys.exit(any("error" in each for each in document["benchmarks"]))


def _run_one(benchmark: Benchmark, options: Options) -> tuple[dict[str, Any], str]:
    try:
        report = benchmark(options)
    except SkippedError as reason:
        return {"skipped": str(reason)}, f"left out: {reason}"
    except RunError as error:
        return {"error": str(error)}, f"FAILED, no figures: {error}"
    return report.as_json(), report.as_text()


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke run of seconds; its figures mean nothing")
    parser.add_argument("--json", action="store_true", help="write JSON to standard output instead of tables")
    parser.add_argument("--output", type=Path, metavar="FILE", help="save the run, as JSON, to a file as well")
    parser.add_argument("--repetitions", type=int, metavar="N", help=f"of each contender (default {_REPETITIONS})")
    parser.add_argument(
        "--directory", type=Path, default=_DIRECTORY, help=f"where logs are written; a real disk (default {_DIRECTORY})"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the length of each run (default 1)")
    return parser


def machine(directory: Path) -> dict[str, str]:
    """Return what the figures depend on and nobody can promise."""
    free_threaded = getattr(sys, "_is_gil_enabled", bool)
    interpreter = f"{platform.python_implementation()} {platform.python_version()}"
    return {
        "cpu": f"{_cpu_model()}, {os.cpu_count()} cores",
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()) + " (1, 5, 15 minutes)",
        "kernel": platform.release(),
        "python": interpreter
        if free_threaded() or not hasattr(sys, "_is_gil_enabled")
        else f"{interpreter} without GIL",
        "riskbus": f"not compiled: {native.why_not}" if native.why_not else "compiled",
        "switch interval": f"{sys.getswitchinterval() * 1000:g} ms",
        "log directory": f"{directory} on {_filesystem(directory)}",
        "staging": f"{STAGING} on {_filesystem(STAGING)}",
    }


def table(columns: Iterable[str], rows: Iterable[Iterable[str | float]]) -> str:
    """Return aligned text: the first column to the left, figures to the right."""
    lines = [list(columns), *([cell if isinstance(cell, str) else _number(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _number(value: float) -> str:
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _filesystem(directory: Path) -> str:
    mount = find_mount(read_mounts(), PurePosixPath(directory))
    return mount.filesystem if mount else "an unknown file system"
