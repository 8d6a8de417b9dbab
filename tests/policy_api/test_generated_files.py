"""The CRDs in the tree are those of the models."""

from pathlib import Path

import pytest
import yaml

from riskbus_operator.api import crds
from riskbus_operator.cli import main

REPOSITORY = Path(__file__).parents[2]
COPIES = ["crds", "charts/riskbus-operator/files/crds"]


@pytest.mark.parametrize("folder", COPIES)
def test_the_committed_definitions_are_those_of_the_models(folder: str) -> None:
    """Users install the files, and the operator reads with the models."""
    committed = {path.name: path.read_text() for path in (REPOSITORY / folder).iterdir()}

    assert committed == crds.files(), f"run: riskbus-operator crds --write {' '.join(COPIES)}"


def test_the_command_writes_the_definitions_to_every_folder(tmp_path: Path) -> None:
    """One command brings both copies up to date."""
    folders = [tmp_path / "new" / "one", tmp_path / "other"]

    assert main(["crds", "--write", *map(str, folders)]) == 0

    for folder in folders:
        assert {path.name: path.read_text() for path in folder.iterdir()} == crds.files()


def test_the_command_prints_both_definitions_as_one_stream(capsys: pytest.CaptureFixture[str]) -> None:
    """`riskbus-operator crds | kubectl apply -f -` installs them."""
    assert main(["crds"]) == 0

    assert list(yaml.safe_load_all(capsys.readouterr().out)) == crds.definitions()


def test_a_folder_that_cannot_be_written_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback reaches a user."""
    (tmp_path / "file").write_text("")

    assert main(["crds", "--write", str(tmp_path / "file")]) == 1

    assert capsys.readouterr().err.startswith("riskbus-operator: ")


def test_the_columns_answer_at_a_glance() -> None:
    """Ready or not, why, how many workloads and pods, and how big the volume is."""
    policy, report = (
        [c["name"] for c in crd["spec"]["versions"][0]["additionalPrinterColumns"]] for crd in crds.definitions()
    )

    assert policy[:8] == ["Ready", "Reason", "Matched", "Injected", "Pods", "Valid", "Volume", "Mode"]
    assert report[:4] == ["Verdict", "Reason", "Durable", "Container"]
