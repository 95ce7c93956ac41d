"""From MODULE:OBJECT to a use case."""

from __future__ import annotations

import importlib
import os
import sys

from stream_app.config.settings import Settings, SettingsError
from stream_app.features.usecase import UseCase
from stream_app.text.causes import cause_of

__all__ = ["chosen_usecase", "load_usecase"]


def load_usecase(spec: str) -> UseCase:
    """Import the use case that `spec` names as MODULE:OBJECT; raises `SettingsError`.

    The working directory is looked through first, as it is for ASGI servers.
    """
    module_name, colon, path = spec.partition(":")
    if not (module_name and colon and path):
        raise SettingsError(
            f"usecase: {spec} is not MODULE:OBJECT. Example: features.flights:usecase"
        )
    directory = os.getcwd()  # noqa: PTH109  sys.path holds strings
    if directory not in sys.path:
        sys.path.insert(0, directory)
    found: object = None
    try:
        found = importlib.import_module(module_name)
        problem = ""
    except ModuleNotFoundError as error:
        # The module itself, or one that it needs?
        itself = error.name is not None and f"{module_name}.".startswith(f"{error.name}.")
        missing = f"there is no module {error.name}"
        problem = missing if itself else f"{module_name} cannot be imported: {missing}"
    except Exception as error:  # noqa: BLE001  whatever a stranger's module does on import
        problem = (
            f"{module_name} cannot be imported: {type(error).__name__}: {error} ({_where(error)})"
        )
    if problem:
        raise SettingsError(f"usecase: {problem}. Asked for: {spec}")
    for name in path.split("."):
        if not hasattr(found, name):
            raise SettingsError(f"usecase: {module_name} has no {path}. Asked for: {spec}")
        found = getattr(found, name)
    if not isinstance(found, UseCase):
        raise SettingsError(
            f"usecase: {spec} is a {type(found).__name__}, not a stream_app.UseCase."
        )
    return found


def _where(error: Exception) -> str:
    """The file and line of a module that cannot be imported."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    return cause_of(error).partition(" in ")[2] or "nowhere in a file"


def chosen_usecase(settings: Settings) -> UseCase:
    """Import the use case that the command line or a setting names; raises `SettingsError`."""
    if settings.usecase is None:
        raise SettingsError(
            "usecase: no use case is named. Name it as an argument, in stream_app.toml or by "
            "STREAM_APP_USECASE. Example: features.flights:usecase"
        )
    return load_usecase(settings.usecase)
