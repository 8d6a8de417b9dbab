"""The hottest paths of riskbus, compiled; where they are not, the same paths in Python do the work.

The extension module `hot` is made when riskbus is installed and a C compiler is there, by hatch_build.py. It takes
the usual case and hands every unusual one back to the Python function beside which it stands: nothing changes but time.

Attributes:
    VARIABLE: the environment variable that is asked, once, whether the extension module is wanted.
    hot: the extension module; None where it was not made, or where RISKBUS_NATIVE=0 says that it is not wanted.
    why_not: why it is None, and what to do about that; "" where it is not.
"""

import os
from importlib import import_module
from types import ModuleType

VARIABLE = "RISKBUS_NATIVE"


def _load() -> tuple[ModuleType | None, str]:
    if os.environ.get(VARIABLE) == "0":
        return None, f"{VARIABLE}=0 says so; take it away for speed"
    try:
        return import_module("riskbus.native.hot"), ""
    except ImportError as error:
        remedy = "install riskbus where a C compiler and Python's headers are (Debian: gcc, libc6-dev, python3-dev)"
        return None, f"{error}; for speed, {remedy}"


hot, why_not = _load()
