"""Puts a supervisor together: its workers, and the one address at which they are looked at."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from stream_app.config.settings import Settings
from stream_app.supervisor.child import Child
from stream_app.supervisor.pages import supervisor_routes
from stream_app.supervisor.slot import settings_of
from stream_app.supervisor.supervisor import Supervisor
from stream_app.telemetry.http_server import HttpServer
from stream_app.telemetry.logs import name_application

__all__ = ["supervise"]

_NAME: Final = "supervisor"
"""In the log, where workers have theirs."""


def supervise(settings: Settings, workers: int, arguments: Sequence[str]) -> int:
    """Run so many workers until they are told to stop; returns the exit status of all together.

    `arguments`: of ``stream-app run``. Raises `SettingsError` where it cannot listen.
    """
    name_application(settings.application, _NAME)
    command = [sys.executable, "-m", "stream_app", "run", *arguments]
    supervisor = Supervisor(
        workers,
        lambda number: Child(command, settings_of(number, settings.group_instance_id)),
        drain_seconds=settings.drain_seconds,
        # Without the setting it is the use case's name, and the use case is for the workers to load.
        on_application=lambda application: name_application(application, _NAME),
    )
    routes = supervisor_routes(supervisor.places, supervisor.is_alive)
    with HttpServer(settings.http_host, settings.http_port, routes):
        return supervisor.run()
