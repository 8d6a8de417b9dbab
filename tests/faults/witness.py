"""What the witness of `victims` says, and whether a log bears it out."""

import json
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.faults import reading


@dataclass(frozen=True, slots=True)
class Statement:
    """What one thread of one victim had testified to when it was ended.

    Attributes:
        run, thread: which victim, and which of its threads.
        accepted: how many events `append` had returned for.
        durable: how many were durable, as the receipts said.
    """

    run: int
    thread: int
    accepted: int
    durable: int


def end_victims(path: Path, first: int, rounds: int, image: Path | None = None) -> list[Statement]:
    """Start and end so many victims on this log, one after the other; with an image, by power cuts."""
    command = [sys.executable, "-m", "tests.faults.victims", path, first, rounds, *([image] if image else [])]
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    said = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("[")]
    assert [run for run, _, _ in said] == list(range(first, first + rounds))
    return [
        Statement(run, thread, *counts)
        for run, accepted, durable in said
        for thread, counts in enumerate(zip(accepted, durable, strict=True))
    ]


def found(directory: Path, *, ordered: bool = True) -> dict[tuple[int, int], int]:
    """Return how many events of each run and thread are in a log; they must be there once and without a gap.

    Also in order, unless processes that wrote at the same time took over from each other: their segments have no order.
    """
    written: dict[tuple[int, int], list[int]] = defaultdict(list)
    for run, thread, number in reading.numbers(directory):
        written[run, thread].append(number)
    for publisher, numbers in written.items():
        if not ordered:
            numbers.sort()
        strange = [pair for pair in pairwise([-1, *numbers]) if pair[1] != pair[0] + 1]
        assert strange == [], f"events of {publisher} are lost, repeated or out of order: {strange}"
    return {publisher: len(numbers) for publisher, numbers in written.items()}
