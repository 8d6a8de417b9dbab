"""The deployment checklist: is this place fit to keep an audit log?

Nothing that is looked at here is changed, but for small files that are written, synced and removed, so it can be run
beside a log that is being written.
"""

import os
from dataclasses import dataclass, field

from riskbus.bus_settings import BusSettings
from riskbus.cli.checkup.check import Check, Result
from riskbus.cli.checkup.environment import Setting, check_config_file, check_variables, list_settings
from riskbus.cli.checkup.memory import check_memory
from riskbus.cli.checkup.retention import check_retention
from riskbus.cli.checkup.surroundings import check_clock, check_form, check_output, check_reporting
from riskbus.cli.checkup.volume import check_volume
from riskbus.errors import SettingsError
from riskbus.settings import VARIABLES, AuditSettings

__all__ = ["Check", "Checkup", "Result", "Setting", "examine"]


@dataclass(slots=True)
class Checkup:
    """Everything that was found.

    Attributes:
        checks: the answers, in the order in which problems are best solved.
        settings: every setting with its value and source; none if they could not be read.
    """

    checks: list[Check] = field(default_factory=list)
    settings: list[Setting] = field(default_factory=list)

    @property
    def fit(self) -> bool:
        """Whether nothing failed."""
        return all(check.result is not Result.FAIL for check in self.checks)


def examine(path: str | None) -> Checkup:
    """Look at everything; `path` of the log wins over RISK_AUDIT_LOG_PATH."""
    checkup = Checkup()
    settings = _read_settings(checkup, path)
    checkup.checks += check_variables(os.environ)
    if settings is None:
        return checkup
    checkup.checks += check_volume(settings)
    checkup.checks.append(check_retention(settings))
    checkup.checks += check_memory(settings)
    checkup.checks += [check_clock(), check_output(), check_reporting(settings), check_form()]
    return checkup


def _read_settings(checkup: Checkup, path: str | None) -> AuditSettings | None:
    """Return the settings; with defaults for all but the path where one is wrong, None where the path is."""
    variable = VARIABLES["path"]
    try:
        settings = BusSettings.from_environment(path=path)
    except SettingsError as error:
        checkup.checks.append(Check("environment", Result.FAIL, f"{error}; correct it, and ask again."))
    else:
        checkup.settings = list_settings(settings, os.environ, path)
        checkup.checks.append(_path(settings, found=path is not None or variable in os.environ))
        checkup.checks += check_config_file(settings)
        return settings
    try:
        return AuditSettings.from_environment({}, path=path or os.environ.get(variable))
    except SettingsError:
        return None


def _path(settings: AuditSettings, *, found: bool) -> Check:
    if found:
        return Check("environment", Result.OK, f"records go to {settings.path}.")
    remedy = "set it, or cover the workload with a RiskAuditPolicy"
    message = f"RISK_AUDIT_LOG_PATH is not set, so records go to {settings.path}; {remedy}."
    return Check("environment", Result.WARN, message)
