"""The settings of a bus as they change: by a call, and by a file that is watched."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from riskbus.bus.saying import say
from riskbus.bus_settings import BusSettings
from riskbus.config_file import ConfigFile
from riskbus.configuration import Change, changed, differences
from riskbus.errors import SettingsError

_POLL_SECONDS = 1.0
"""How often the file is read: Kubernetes itself takes up to a minute to bring a changed ConfigMap to a pod."""


@dataclass(frozen=True, slots=True)
class ConfigurationStatistics:
    """How often the settings of a bus changed.

    Attributes:
        changes: Changes that hold.
        failures: Contents of the watched file that were refused, and times at which it could not be read.
    """

    changes: int
    failures: int


class Configuration:
    """The settings of one bus.

    What the program started with holds until a change; of changes, the latest word on a setting counts, whether a call
    or the file said it. A setting that the file no longer names goes back to what the program started with. Of a file
    that is wrong, nothing counts: it is logged, counted, and changes nothing, not even at the start.

    Thread-safety: every method from any thread, but not from signal handlers.

    Args:
        settings: What the program starts with. The file that they name is read at once.

    Attributes:
        settings: Those of now.
    """

    def __init__(self, settings: BusSettings) -> None:
        self.settings = settings
        self._before_file = settings
        self._file = ConfigFile(settings.config_file) if settings.config_file else None
        self._said: Mapping[str, object] = {}
        self._adopt: Callable[[BusSettings, Change], None] | None = None
        self._changes = self._failures = 0
        self.begin_again()
        self._look()

    def begin_again(self) -> None:
        """Make locks anew: at the start, and in the child of a fork."""
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def start(self, adopt: Callable[[BusSettings, Change], None]) -> None:
        """Watch the file, if there is one.

        Args:
            adopt: Goes on with other settings. Must be quick.
        """
        self._adopt = adopt
        if self._file:
            threading.Thread(target=self._watch, name="riskbus-config", daemon=True).start()

    def stop(self) -> None:
        """Watch no more. Does not wait."""
        self._stopped.set()

    def statistics(self) -> ConfigurationStatistics:
        """Return the counts so far."""
        return ConfigurationStatistics(self._changes, self._failures)

    def change(self, values: Mapping[str, object], sources: Mapping[str, str], change: Change) -> BusSettings:
        """Change some settings, all of them or none, and go on with them.

        Args:
            values: The new values, by setting.
            sources: Where each comes from, for the message.
            change: Who changes them and why; its differences are worked out here.

        Returns:
            The settings that hold now.

        Raises:
            SettingsError: A value is wrong, or is of a setting that cannot change now.
        """
        with self._lock:
            updated = changed(self.settings, values, sources, at_start=self._adopt is None)
            found = differences(self.settings, updated)
            self.settings = updated
            if found and self._adopt:
                self._changes += 1
                self._adopt(updated, replace(change, changes=found))
            return updated

    def _watch(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            self._look()

    def _look(self) -> None:
        try:
            said = self._file.read() if self._file else None
            if self._file is None or said is None:
                return
            values = {name: value for name, value in said.items() if self._said.get(name) != value}
            values |= {name: getattr(self._before_file, name) for name in self._said if name not in said}
            sources = {name: self._file.source(name) for name in values}
            self.change(values, sources, Change(f"file {self._file.path}"))
            self._said = said
        except SettingsError as error:
            self._failures += 1
            say(logging.ERROR, "%s; the configuration stays as it was", error)
        except Exception:  # noqa: BLE001 -- the thread that watches must live to see the content that mends it
            self._failures += 1
            text = "File %s could not be followed; its next content will be"
            say(logging.ERROR, text, self.settings.config_file, exc_info=True)
