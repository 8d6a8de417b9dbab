"""Compiles riskbus/native into its extension module when a wheel is built; where that cannot be, goes without it.

hatchling runs this file, for an editable install too: https://hatch.pypa.io/latest/plugins/build-hook/custom/
"""

import os
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext

PACKAGE = Path("riskbus", "native")
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
FLAGS = ["-std=c11", "-O2", "-Wall", "-Wextra"]
FLAGS += [f"-Wno-{what}" for what in ("missing-field-initializers", "unused-parameter", "cast-function-type")]


class CompileNative(BuildHookInterface[BuilderConfig]):
    """Puts the module into the wheel; for an editable install, beside its sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the wheel is put together. `version` is "standard" or "editable"."""
        self._folder = TemporaryDirectory()
        module = self._compile()
        if version == "editable":
            self._put_beside_sources(module)
        elif module:
            build_data["force_include"][str(module)] = str(PACKAGE / module.name)
            build_data["pure_python"] = False
            build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 -- hatchling's
        """Remove what is not in the wheel."""
        self._folder.cleanup()

    def _compile(self) -> Path | None:
        why_not = obstacle()
        module = None if why_not else compile_module(Path(self.root) / PACKAGE, Path(self._folder.name))
        if module is None:
            why_not = why_not or "the compiler did not take them, see above"
            self.app.display_warning(f"riskbus goes without its compiled paths, so it is slower: {why_not}")
        return module

    def _put_beside_sources(self, module: Path | None) -> None:
        place = Path(self.root, PACKAGE, f"hot{SUFFIX}")
        if module is None:
            place.unlink(missing_ok=True)  # what older sources were compiled to
            return
        new = place.with_suffix(".new")
        shutil.copy(module, new)
        new.replace(place)  # processes that have the old one loaded keep it


def obstacle() -> str:
    """Say why it cannot be compiled here; "" if nothing is known to be in the way."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    header = Path(sysconfig.get_path("include"), "Python.h")
    if sys.platform != "linux" or sys.implementation.name != "cpython":
        return "they are for CPython on Linux"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "they need the global interpreter lock"
    if not shutil.which(compiler):
        return f"there is no C compiler ({compiler})"
    return "" if header.exists() else f"there is no {header} (Debian: python3-dev)"


def compile_module(sources: Path, folder: Path) -> Path | None:
    """Compile all C files of a folder into one module; return its file, None where the compiler fails."""
    extension = Extension(
        "hot",
        sorted(str(source) for source in sources.glob("*.c")),
        extra_compile_args=FLAGS,
        optional=True,  # a failure is a warning
    )
    command = build_ext(Distribution({"ext_modules": [extension]}))
    command.build_lib = command.build_temp = str(folder)
    command.ensure_finalized()
    command.run()
    (module,) = map(Path, command.get_outputs())
    return module if module.exists() else None
