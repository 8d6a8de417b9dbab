"""A power cut at any moment: what a receipt called durable is there afterwards."""

import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from riskbus.store.verification import verify_tree
from tests.faults.conftest import size
from tests.faults.witness import end_victims, found

if TYPE_CHECKING:
    from tests.faults.volumes import Volume

CUTS = size("FAULTS_POWER_CUTS", 20)
_AT_ONCE = 10  # power cuts in a row for one log


@pytest.mark.timeout(3600)
def test_a_power_cut_takes_nothing_that_a_receipt_called_durable(
    make_volume: "Callable[..., Volume]", say: Callable[[str], None]
) -> None:
    """The file system is shut down with all that the kernel had not yet brought to the device, and mounted again.

    What a cut may leave behind: half a line at the end (damage), records that no checkpoint covers yet (undecided).
    It must never look like tampering.
    """
    volume = make_volume(64)
    durable = 0
    for first in range(0, CUTS, _AT_ONCE):
        directory = volume.path / str(first)
        statements = end_victims(directory / "risk_audit.jsonl", first, min(_AT_ONCE, CUTS - first), volume.image)
        written = found(directory)
        for statement in statements:
            assert written.get((statement.run, statement.thread), 0) >= statement.durable
        kinds = {finding.kind for finding in verify_tree(directory, [], lambda _: None).findings}
        assert kinds <= {"torn", "unsealed"}
        durable += sum(statement.durable for statement in statements)
        shutil.rmtree(directory)
        say(f"{min(first + _AT_ONCE, CUTS)} of {CUTS} power cuts, {durable:,} durable events: all there")
    assert durable > CUTS
