"""Compiles `stream_app/compiled/*.pyx` when the package is built, where a C compiler is.

Hatchling runs this for wheels and for editable installations; in the latter the compiled modules lie
beside their sources. Where they cannot be compiled, the package is built without them, and the worker
runs in Python. The variable `STREAM_APP_COMPILE` says otherwise: `require` makes what cannot be
compiled an error, as the image does, `no` leaves it out.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FOLDER = Path("stream_app", "compiled")
_CHOICES = ("", "no", "require")

# Python never unites a multiplication and an addition into one rounding; neither may the compiler.
_OPTIONS = ["-O2", "-ffp-contract=off"]


class CompiledModules(BuildHookInterface[Any]):
    """The hook that `[tool.hatch.build.targets.wheel.hooks.custom]` names."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and tell hatchling what has come of it; `version` is "editable" for such a one."""
        choice = os.environ.get("STREAM_APP_COMPILE", "")
        if choice not in _CHOICES:
            raise SystemExit(
                f"STREAM_APP_COMPILE is {choice!r}: leave it out, or write no or require"
            )
        if choice == "no":
            return
        root = Path(self.root)
        self._built = tempfile.TemporaryDirectory(prefix="stream-app-build-")
        try:
            modules = _compiled(root, Path(self._built.name))
        except Exception as error:
            if choice == "require":
                raise
            self.app.display_warning(f"nothing is compiled, stream-app runs in Python: {error}")
            return
        for module in modules:
            place = _FOLDER / module.name
            if version == "editable":
                (root / place).unlink(missing_ok=True)  # a process may have it loaded
                (root / place).write_bytes(module.read_bytes())
            else:
                build_data["force_include"][str(module)] = place.as_posix()
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


def _compiled(root: Path, folder: Path) -> list[Path]:
    """The compiled modules, in `folder`; raises what the compilers do."""
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    extensions = [
        Extension(
            ".".join((*_FOLDER.parts, source.stem)),
            [str(source.relative_to(root))],
            extra_compile_args=[] if sys.platform == "win32" else _OPTIONS,
        )
        for source in sorted((root / _FOLDER).glob("*.pyx"))
    ]
    before = Path.cwd()
    os.chdir(root)  # names of files in the result are relative ones
    try:
        distribution = Distribution(
            {"ext_modules": cythonize(extensions, build_dir=str(folder / "c"), quiet=True)}
        )
        command = build_ext(distribution)
        command.build_lib, command.build_temp = str(folder / "lib"), str(folder / "o")
        command.ensure_finalized()
        command.run()
    finally:
        os.chdir(before)
    return [Path(each) for each in command.get_outputs()]
