"""The one error of this package."""


class LocalClusterError(Exception):
    """Something is missing or went wrong; the text is one sentence that says what, and what to do."""
