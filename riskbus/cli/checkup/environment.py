"""The settings as the environment gives them, the file that changes them, and variables that are no settings."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from riskbus.bus_settings import BusSettings
from riskbus.cli.checkup.check import Check, Result
from riskbus.config_file import ConfigFile
from riskbus.configuration import changed
from riskbus.errors import SettingsError
from riskbus.settings import AuditSettings
from riskbus.variables import unknown_variables


class Setting(NamedTuple):
    """One setting.

    Attributes:
        variable: the environment variable that sets it.
        value: what it is now.
        source: environment, argument or default.
    """

    variable: str
    value: str
    source: str


def list_settings(settings: AuditSettings, environ: Mapping[str, str], path: str | None) -> list[Setting]:
    """Return every setting; `path` is the path that was given as an argument."""
    values = settings.model_dump(mode="json")
    return [
        Setting(variable, _text(values[field]), _source(field, variable, environ, path))
        for field, variable in settings.variables().items()
    ]


def check_variables(environ: Mapping[str, str]) -> Iterator[Check]:
    """Say which variables look like settings of riskbus, are none, and so have no effect."""
    return (Check("environment", Result.WARN, str(unknown)) for unknown in unknown_variables(environ))


def check_config_file(settings: BusSettings) -> Iterator[Check]:
    """Say whether a bus would take what the watched file says, if there is one."""
    if settings.config_file is None:
        return
    file = ConfigFile(settings.config_file)
    try:
        said = file.read() or {}
        changed(settings, said, {name: file.source(name) for name in said}, at_start=True)
    except SettingsError as error:
        yield Check("environment", Result.WARN, f"{error}; a bus starts without this file, so correct it.")
    else:
        yield Check("environment", Result.OK, f"file {file.path} says {', '.join(sorted(said)) or 'nothing'}.")


def _source(field: str, variable: str, environ: Mapping[str, str], path: str | None) -> str:
    if field == "path" and path is not None:
        return "argument"
    return "environment" if variable in environ else "default"


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
