"""The file from which settings change while a bus runs.

It is TOML; its keys are the names of settings. Its content is what counts, read again each time: a mounted ConfigMap
changes by exchanging a symbolic link two directories up, which no watch on the file itself notices.
"""

import tomllib
from pathlib import Path

from riskbus.errors import SettingsError

_LIMIT = 1 << 20  # bytes; a ConfigMap holds no more


class ConfigFile:
    """A file of settings. Belongs to one thread.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: bytes | str = b""

    def read(self) -> dict[str, object] | None:
        """Return what the file says, or None if that has not changed since the last call. An empty file says nothing.

        Raises:
            SettingsError: It cannot be read, or is not TOML. Not raised again for the same content or reason.
        """
        try:
            with self.path.open("rb") as file:
                content: bytes | str = file.read(_LIMIT + 1)
        except OSError as error:
            content = f"cannot be read: {error.strerror}"
        if content == self._seen:
            return None
        self._seen = content
        if isinstance(content, str):
            raise SettingsError(f"file {self.path} {content}")
        if len(content) > _LIMIT:
            raise SettingsError(f"file {self.path} is longer than {_LIMIT} bytes")
        try:
            return tomllib.loads(content.decode())
        except (ValueError, RecursionError) as error:
            raise SettingsError(f"file {self.path} is not TOML: {error}") from None

    def source(self, name: str) -> str:
        """Return where a setting of this name comes from, in words."""
        return f"file {self.path}, key {name}"
