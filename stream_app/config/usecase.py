"""From MODULE:OBJECT to a use case."""

from __future__ import annotations

from stream_app.config.settings import Settings, SettingsError
from stream_app.config.strangers_module import ImportFailedError, import_strangers_module
from stream_app.features.usecase import UseCase

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
    try:
        found: object = import_strangers_module(module_name)
    except ImportFailedError as failed:
        raise SettingsError(f"usecase: {failed}. Asked for: {spec}") from failed
    for name in path.split("."):
        if not hasattr(found, name):
            raise SettingsError(f"usecase: {module_name} has no {path}. Asked for: {spec}")
        found = getattr(found, name)
    if not isinstance(found, UseCase):
        raise SettingsError(
            f"usecase: {spec} is a {type(found).__name__}, not a stream_app.UseCase."
        )
    return found


def chosen_usecase(settings: Settings) -> UseCase:
    """Import the use case that the command line or a setting names; raises `SettingsError`."""
    if settings.usecase is None:
        raise SettingsError(
            "usecase: no use case is named. Name it as an argument, in stream_app.toml or by "
            "STREAM_APP_USECASE. Example: features.flights:usecase"
        )
    return load_usecase(settings.usecase)
