"""Environment variables that look like settings of riskbus and are none."""

import logging
import os
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import NamedTuple

from riskbus import native
from riskbus.bus_settings import BusSettings

_log = logging.getLogger("riskbus")

_PREFIXES = ("RISK_AUDIT_", "RISKBUS_")
_LIKENESS = 0.85  # of 1; one or two letters of a long name
# Kubernetes gives each pod such variables for every Service of its namespace, whatever the Service is called.
_SERVICE_LINK = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP|SCTP)(_.*)?)?)")


class Unknown(NamedTuple):
    """A variable that has no effect.

    Attributes:
        variable: its name.
        meant: the setting that it was probably meant to be, "" where none is like it.
    """

    variable: str
    meant: str

    def __str__(self) -> str:
        remedy = f"did you mean {self.meant}?" if self.meant else "remove it, or look the right name up."
        return f"{self.variable} is no setting of riskbus and has no effect; {remedy}"


def unknown_variables(environ: Mapping[str, str]) -> Iterator[Unknown]:
    """Find the variables that look like settings of riskbus and are none, in alphabetical order. Pure."""
    known = [variable for variable in BusSettings.variables().values() if variable.startswith(_PREFIXES)]
    known.append(native.VARIABLE)
    for variable in sorted(environ):
        name = variable.upper()
        if variable in known or _SERVICE_LINK.fullmatch(variable):
            continue
        alike = get_close_matches(name, known, 1, _LIKENESS)
        if alike or name.startswith(_PREFIXES):
            yield Unknown(variable, alike[0] if alike else "")


_told: set[str] = set()


def warn_of_unknown_variables(environ: Mapping[str, str] = os.environ) -> None:
    """Log each of them once in the life of the process. Thread-safe, but for a line that comes twice."""
    for unknown in unknown_variables(environ):
        if unknown.variable not in _told:
            _told.add(unknown.variable)
            _log.warning("%s", unknown)
