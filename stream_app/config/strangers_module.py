"""Modules of other people, imported by their names: whatever they do as they are imported."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

from stream_app.text.causes import cause_of, unless_told_to_end

__all__ = ["ImportFailedError", "import_strangers_module"]


class ImportFailedError(Exception):
    """A module cannot be imported; the message says why, and quotes what it raised."""


def import_strangers_module(name: str) -> ModuleType:
    """Import a module, looked for in the working directory first, as ASGI servers do.

    Raises `ImportFailedError`. A module that ends the program as it is imported has failed, too: the
    command would else end with its status, which may be 0, and have done nothing.
    """
    directory = os.getcwd()  # noqa: PTH109  sys.path holds strings
    if directory not in sys.path:
        sys.path.insert(0, directory)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # The module itself, or one that it needs?
        itself = error.name is not None and f"{name}.".startswith(f"{error.name}.")
        missing = f"there is no module {error.name}"
        why = missing if itself else f"{name} cannot be imported: {missing}"
        raise ImportFailedError(why) from error
    except SystemExit as error:
        raise ImportFailedError(
            f"{name} cannot be imported: it calls sys.exit as it is imported; let it do so only "
            'if __name__ == "__main__"'
        ) from error
    except BaseException as error:
        unless_told_to_end(error)
        raise ImportFailedError(
            f"{name} cannot be imported: {type(error).__name__}: {error} ({_where(error)})"
        ) from error


def _where(error: BaseException) -> str:
    """The file and line of a module that cannot be imported."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    return cause_of(error).partition(" in ")[2] or "nowhere in a file"
