"""Two verifiers that share no code say the same about directories of every kind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.agreement.cases import Make
from tests.agreement.conftest import kinds
from tests.agreement.corpus import CASES
from tests.agreement.corpus_declared import NO_DECLARATIONS, pruned_by


@pytest.mark.parametrize("make", CASES.values(), ids=CASES.keys())
def test_both_verifiers_say_what_is_so(make: Make, tmp_path: Path, agree: Callable[..., dict[str, Any]]) -> None:
    """The exit code, every verdict, every count, and every finding with its place."""
    case = make()
    case.write(tmp_path)
    document = agree(tmp_path, case.anchors)
    assert kinds(document) == case.kinds
    assert document["exit_code"] == case.exit_code


@pytest.mark.parametrize("change", NO_DECLARATIONS.values(), ids=NO_DECLARATIONS)
def test_half_a_declaration_explains_nothing(
    change: dict[str, object], tmp_path: Path, agree: Callable[..., dict[str, Any]]
) -> None:
    """What is missing was removed, unless a declaration says all that the writer of one says."""
    case = pruned_by(change)
    case.write(tmp_path)
    document = agree(tmp_path)
    assert kinds(document) == case.kinds
    assert document["exit_code"] == case.exit_code


def test_a_declaration_needs_no_reason(tmp_path: Path, agree: Callable[..., dict[str, Any]]) -> None:
    """That is for people."""
    pruned_by({"reason": ...}).write(tmp_path)
    assert agree(tmp_path)["exit_code"] == 4
