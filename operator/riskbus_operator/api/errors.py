"""The operator's errors: everything it raises on purpose derives from `OperatorError`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class OperatorError(Exception):
    """Base of every error that the operator raises on purpose; its text is fit for a user."""


class InvalidObjectError(OperatorError):
    """An object does not fit the API: refuse it, and show `problems` to whoever wrote it.

    Attributes:
        problems: One line for each problem, `spec.volume.size: what to write instead`.
    """

    def __init__(self, what: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{what}: {'; '.join(self.problems)}")
