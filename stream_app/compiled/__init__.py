"""What is compiled: the arithmetic that every event passes through, in Cython, for speed alone.

Each module here has a counterpart in Python, which does the same to the bit and is what runs where
nothing is compiled. A module knows none of its users: what it needs of them is handed to it.
`build_extension.py` compiles; the variable `STREAM_APP_PYTHON_ONLY` switches all of it off.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

__all__ = ["PYTHON_ONLY", "compiled_module", "why_python"]

#: The environment variable that, with any value but "" and "0", makes everything run in Python.
PYTHON_ONLY = "STREAM_APP_PYTHON_ONLY"

_MODULES = ("events", "moments", "states", "turns")


def compiled_module(name: str) -> Any:
    """A module of this room by its name, or None where Python has to do."""
    if why_python() is not None:
        return None
    return import_module(f"{__name__}.{name}")


def why_python() -> str | None:
    """Why nothing that is compiled runs, for people; None where it does."""
    if os.environ.get(PYTHON_ONLY, "0") not in ("", "0"):
        return f"{PYTHON_ONLY} is set"
    names = [f"{__name__}.{name}" for name in _MODULES]
    try:
        for name in names:
            import_module(name)
    except ImportError as error:
        if error.name in names and isinstance(error, ModuleNotFoundError):
            return "the package was built without it, where no C compiler was found"
        return f"it cannot be loaded: {error}"
    return None
