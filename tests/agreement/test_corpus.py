"""Two verifiers that share no code say the same about directories of every kind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.agreement.cases import Make
from tests.agreement.conftest import kinds
from tests.agreement.corpus import CASES


@pytest.mark.parametrize("make", CASES.values(), ids=CASES.keys())
def test_both_verifiers_say_what_is_so(make: Make, tmp_path: Path, agree: Callable[..., dict[str, Any]]) -> None:
    """The exit code, every verdict, every count, and every finding with its place."""
    case = make()
    case.write(tmp_path)
    document = agree(tmp_path, case.anchors)
    assert kinds(document) == case.kinds
    assert document["exit_code"] == case.exit_code
