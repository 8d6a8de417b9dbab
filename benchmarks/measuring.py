"""How things are measured: pacing, percentiles, fresh interpreters, interleaved repetitions.

Each contender runs in an interpreter of its own, so that nobody's threads, imports or garbage disturb another. All of
them take turns within one run: what the machine does meanwhile hits everybody alike, and ratios stay comparable.
"""

import importlib.util
import json
import os
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import cycle, islice
from statistics import median
from tempfile import TemporaryFile
from time import perf_counter_ns
from typing import IO, Any

give_way = partial(time.sleep, 0)
"""Lets go of the interpreter's lock for a moment, as any loop does that asks for input."""

RATE = 20_000  # events a second of the paced loops

Sample = dict[str, float]
"""What one run of one contender measured, by name."""

_WARM_UP = 0.1  # share of the calls that come before the measured ones
_TIMEOUT = 600.0  # seconds that one run may take at most


class RunError(Exception):
    """A run ended badly, so there is no figure."""


def paced(
    call: Callable[[Any], object], items: Sequence[object], count: int, idle: Callable[[], object] = int
) -> Sample:
    """Call at a steady rate from a spinning loop; return the percentiles of a call in microseconds, and `recorded`.

    Args:
        call: what is measured.
        items: what it is called with, in turn.
        count: measured calls; a tenth of it comes before them and is not counted.
        idle: what the loop calls while it spins; the default does nothing.
    """
    warm_up = int(count * _WARM_UP)
    samples = array("q", bytes(8 * (warm_up + count)))
    interval = 1_000_000_000 // RATE
    due = perf_counter_ns()
    for number, item in enumerate(islice(cycle(items), warm_up + count)):
        due += interval
        while perf_counter_ns() < due:
            idle()
        started = perf_counter_ns()
        call(item)
        samples[number] = perf_counter_ns() - started
    return percentiles(samples[warm_up:]) | {"recorded": warm_up + count}


def flat_out(call: Callable[[Any], object], items: Sequence[object], count: int) -> float:
    """Call as fast as it goes, with these items in turn; return calls a second."""
    started = perf_counter_ns()
    for item in islice(cycle(items), count):
        call(item)
    return count / (perf_counter_ns() - started) * 1e9


def percentiles(nanoseconds: Iterable[int], prefix: str = "") -> Sample:
    """Return p50, p99, p99.9 and the worst, in microseconds, by nearest rank."""
    ordered = sorted(nanoseconds)
    ranks = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "worst": 1.0}
    last = len(ordered) - 1
    return {f"{prefix}{name}": ordered[min(last, int(share * len(ordered)))] / 1000 for name, share in ranks.items()}


def interleave(contenders: Mapping[str, Callable[[], Sample]], repetitions: int) -> dict[str, list[Sample]]:
    """Run each contender once a repetition, in an order that moves on by one; return what each measured."""
    names = list(contenders)
    results: dict[str, list[Sample]] = {name: [] for name in names}
    for repetition in range(repetitions):
        first = repetition % len(names)
        for name in [*names[first:], *names[:first]]:
            _say(f"repetition {repetition + 1} of {repetitions}: {name}")
            results[name].append(contenders[name]())
    _say("")
    return results


def typical(samples: Iterable[Sample], key: str) -> float:
    """Return the median of the repetitions."""
    return median(sample[key] for sample in samples)


def ratio(ours: Iterable[Sample], theirs: Iterable[Sample], key: str, their_key: str = "") -> float:
    """Return the median of the ratios within each repetition."""
    return median(one[key] / other[their_key or key] for one, other in zip(ours, theirs, strict=True))


def apart(function: Callable[..., Sample], *arguments: object, env: Mapping[str, str] | None = None) -> Sample:
    """Call a function of a module in a fresh interpreter and return what it returns.

    Its standard output goes nowhere: the log writes its anchors there.

    Raises:
        RunError: it did not end well; the message is what it wrote to standard error.
    """
    module = function.__module__
    if module == "__main__" and (spec := sys.modules[module].__spec__):
        module = spec.name
    with TemporaryFile() as answer, TemporaryFile() as errors:
        arguments_as_json, descriptor = json.dumps(arguments), str(answer.fileno())
        command = [sys.executable, "-m", "benchmarks.apart", module, function.__name__, arguments_as_json, descriptor]
        ended = subprocess.run(
            command,
            env=os.environ | (env or {}),
            pass_fds=(answer.fileno(),),
            stdout=subprocess.DEVNULL,
            stderr=errors,
            timeout=_TIMEOUT,
            check=False,
        )
        text, complaint = _content(answer), _content(errors)
    if ended.returncode or not text:
        raise RunError(f"{module}.{function.__name__} ended with {ended.returncode}: {complaint[-2000:]}")
    result: Sample = json.loads(text)
    return result


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def installed(package: str) -> bool:
    """Whether a peer's package is there."""
    return not package or importlib.util.find_spec(package) is not None


def load(package: str) -> Any:  # noqa: ANN401 -- peers are not installed where types are checked
    """Import a peer's package."""
    return importlib.import_module(package)


def _say(progress: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{progress}", end="", file=sys.stderr, flush=True)
