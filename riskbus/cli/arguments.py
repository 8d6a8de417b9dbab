"""Arguments that several commands take."""

from argparse import ArgumentTypeError
from pathlib import Path


def path(text: str) -> Path:
    """Return the path that an argument names.

    Raises:
        ArgumentTypeError: it is empty, as that of a variable which nobody set; `Path` would make the working directory
            of it.
    """
    if not text:
        raise ArgumentTypeError("the path is empty")
    return Path(text)
