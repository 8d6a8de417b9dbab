"""The CRDs in the tree are those of the models."""

import re
from pathlib import Path

import pytest
import yaml

from riskbus_operator.api import crds
from riskbus_operator.api.policy import RiskAuditPolicy
from riskbus_operator.api.reference import EXAMPLE, reference
from riskbus_operator.cli import main

REPOSITORY = Path(__file__).parents[2]
COPIES = ["crds", "charts/riskbus-operator/files/crds"]


@pytest.mark.parametrize("folder", COPIES)
def test_the_committed_definitions_are_those_of_the_models(folder: str) -> None:
    """Users install the files, and the operator reads with the models."""
    committed = {path.name: path.read_text() for path in (REPOSITORY / folder).iterdir()}

    assert committed == crds.files(), f"run: riskbus-operator crds --write {' '.join(COPIES)}"


def test_the_committed_reference_is_that_of_the_models() -> None:
    """A page that is behind sends people to fields that are not there."""
    committed = (REPOSITORY / "docs" / "policy.md").read_text()

    assert committed == reference(), "run: riskbus-operator reference --write docs/policy.md"


def test_the_reference_names_every_field_and_every_rule() -> None:
    """What is not on the page is found out by trial."""
    page = reference()

    for path in ("`logPath`", "`volumeFreeWarningPercent`", "`retainUntil`", "`durableSeq`", "`lastTransitionTime`"):
        assert f"| {path} |" in page
    for rule in re.findall(r"message: (.*)", crds.files()["riskbus.io_riskauditpolicies.yaml"]):
        assert rule.strip("'\"").replace("''", "'")[:60] in page


def test_the_reference_example_is_a_policy() -> None:
    """It is what people copy."""
    assert RiskAuditPolicy.parse(yaml.safe_load(EXAMPLE), strict=True).metadata.name == "intraday"


def test_the_reference_command_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The update is one command."""
    page = tmp_path / "policy.md"

    assert main(["reference", "--write", str(page)]) == main(["reference"]) == 0

    assert page.read_text() == capsys.readouterr().out == reference()


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
