"""The settings as the environment gives them, and variables that look like settings and are none. Pure."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import NamedTuple

from riskbus.cli.checkup.check import Check, Result
from riskbus.settings import VARIABLES, AuditSettings

_PREFIXES = ("RISK_AUDIT_", "RISKBUS_")
_LIKENESS = 0.85  # of 1; one or two letters of a long name
# Kubernetes gives each pod such variables for every Service of its namespace, whatever the Service is called.
_SERVICE_LINK = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP|SCTP)(_.*)?)?)")


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
    """Return every setting of the audit log; `path` is the path that was given as an argument."""
    values = settings.model_dump(mode="json")
    return [
        Setting(variable, _text(values[field]), _source(field, variable, environ, path))
        for field, variable in VARIABLES.items()
    ]


def unknown_variables(environ: Mapping[str, str]) -> Iterator[Check]:
    """Say which variables look like settings of riskbus, are none, and so have no effect."""
    known = [variable for variable in VARIABLES.values() if variable.startswith(_PREFIXES)]
    for variable in sorted(environ):
        name = variable.upper()
        if variable in known or _SERVICE_LINK.fullmatch(variable):
            continue
        alike = get_close_matches(name, known, 1, _LIKENESS)
        if alike or name.startswith(_PREFIXES):
            remedy = f"did you mean {alike[0]}?" if alike else "remove it, or look the right name up in the list below."
            yield Check("environment", Result.WARN, f"{variable} is no setting of riskbus and has no effect; {remedy}")


def _source(field: str, variable: str, environ: Mapping[str, str], path: str | None) -> str:
    if field == "path" and path is not None:
        return "argument"
    return "environment" if variable in environ else "default"


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
