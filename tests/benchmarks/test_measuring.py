"""What turns measurements into figures is itself right."""

import os
from pathlib import Path

import pytest

from benchmarks.common import Figure, table
from benchmarks.load import recorded
from benchmarks.measuring import RunError, Sample, apart, interleave, percentiles, ratio, typical


def claims_an_event_too_many(path: str) -> Sample:
    """A contender that says it recorded something."""
    Path(path).parent.joinpath("nothing").touch()
    return {"recorded": 1}


def fails() -> Sample:
    """A contender that cannot work."""
    raise ValueError("no such thing")


def own_process() -> Sample:
    """A contender that says where it runs."""
    return {"process": os.getpid()}


def test_percentiles_are_values_that_were_measured() -> None:
    """Nearest rank: of a thousand calls, the one call in a thousand is the worst."""
    found = percentiles(range(1000, 1_001_000, 1000))
    assert found == {"p50": 501, "p99": 991, "p99.9": 1000, "worst": 1000}
    assert percentiles([7000]) == {"p50": 7, "p99": 7, "p99.9": 7, "worst": 7}


def test_a_ratio_compares_what_ran_side_by_side() -> None:
    """A machine that was slow for both in one repetition does not count."""
    ours: list[Sample] = [{"p50": 2}, {"p50": 20}, {"p50": 4}]
    floor: list[Sample] = [{"p50": 1}, {"p50": 10}, {"p50": 1}]
    assert ratio(ours, floor, "p50") == 2
    assert typical(ours, "p50") == 4


def test_contenders_take_turns() -> None:
    """Nobody always runs first, when caches are cold, or last, when the disk is busy."""
    order: list[str] = []

    def contender(name: str) -> Sample:
        order.append(name)
        return {"number": len(order)}

    results = interleave({name: lambda name=name: contender(name) for name in "abc"}, 3)  # type: ignore[misc]  # mypy infers no type for a default of a lambda
    assert order == [*"abc", *"bca", *"cab"]
    assert results["b"] == [{"number": 2}, {"number": 4}, {"number": 9}]


def test_each_run_has_an_interpreter_of_its_own() -> None:
    """Threads and garbage of one contender do not slow another."""
    assert apart(own_process)["process"] != os.getpid()


def test_a_contender_that_fails_gives_no_figure() -> None:
    """And says why."""
    with pytest.raises(RunError, match="no such thing"):
        apart(fails)


def test_a_log_that_lacks_events_gives_no_figure(tmp_path: Path) -> None:
    """Speed that comes from losing records is none."""
    with pytest.raises(RunError, match="recorded 1 events, and 0 are in the file"):
        recorded(tmp_path, claims_an_event_too_many)


def test_a_figure_says_whether_its_goal_is_met() -> None:
    """At most, at least, or no goal at all."""
    assert Figure("latency", 2.2, at_most=2.2).met
    assert not Figure("latency", 2.21, at_most=2.2).met
    assert not Figure("throughput", 0.79, at_least=0.8).met
    assert Figure("memory", 40, "MiB").met is None
    assert Figure("latency", 1, at_most=2.2).goal == "<= 2.2 x"


def test_a_table_is_aligned() -> None:
    """Names to the left, figures to the right."""
    assert table(("name", "p50"), [("a", 0.125), ("long name", 1234.5)]).splitlines() == [
        "name         p50",
        "---------  -----",
        "a          0.125",
        "long name  1,234",
    ]
