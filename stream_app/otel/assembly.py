"""Puts OpenTelemetry together where the setting `opentelemetry` asks for it.

Where it does not, nothing of OpenTelemetry is imported and nobody listens: off costs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from stream_app.config.settings import Settings
from stream_app.errors import ConfigurationError
from stream_app.observer.observer import Listener
from stream_app.otel.environment import secrets, wanted
from stream_app.telemetry.logs import hide, worker_name

__all__ = ["OpenTelemetry", "open_telemetry"]


@dataclass(frozen=True)
class OpenTelemetry:
    """What sends spans and metrics; by default nothing."""

    listeners: Sequence[Listener] = ()
    start: Callable[[], None] = lambda: None
    close: Callable[[], None] = lambda: None
    """Sends what is left, within seconds."""


def open_telemetry(
    settings: Settings, application: str, registry: CollectorRegistry
) -> OpenTelemetry:
    """What the setting and OpenTelemetry's own variables ask for; nothing is sent before `start`.

    Raises `ConfigurationError` where they ask for what is not there.
    """
    if not settings.opentelemetry:
        return OpenTelemetry()
    asked = wanted(os.environ)
    hide(secrets(os.environ))
    if not (asked.traces or asked.metrics):
        return OpenTelemetry()
    try:
        from stream_app.otel.exporting import Exporting
    except ImportError as error:
        raise ConfigurationError(
            f"opentelemetry: it is on, and the package {error.name} is not installed. "
            "Example: pip install 'stream-app[otel]'"
        ) from None
    try:
        exporting = Exporting(
            asked,
            application,
            worker_name(settings.group_instance_id),
            registry,
            commits_in_finish=settings.delivery == "exactly_once",
        )
    except ValueError as error:
        raise ConfigurationError(f"opentelemetry: a variable OTEL_... is wrong: {error}") from None
    return OpenTelemetry(exporting.listeners, exporting.start, exporting.close)
