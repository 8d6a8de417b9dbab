"""The hottest paths of riskbus, compiled; where they are not, the same paths in Python do the work.

The extension module `hot` is made when riskbus is installed and a C compiler is there. It takes the usual case and
hands every unusual one back to the Python function beside which it stands, so it changes nothing but the time.

Attributes:
    hot: the extension module; None where it was not made, or where RISKBUS_NATIVE=0 says that it is not wanted.
"""

import os
from importlib import import_module
from types import ModuleType


def _load() -> ModuleType | None:
    if os.environ.get("RISKBUS_NATIVE") == "0":
        return None
    try:
        return import_module("riskbus.native.hot")
    except ImportError:
        return None


hot = _load()
