"""The Faust app: its agent takes each chunk of records through the pipeline."""

from __future__ import annotations

import faulthandler
import logging
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

import faust
from faust.serializers.schemas import Schema

from stream_app.config.settings import Settings
from stream_app.config.usecase import chosen_usecase
from stream_app.errors import ConfigurationError, FatalError, RestartError, StoppingError
from stream_app.features.usecase import UseCase
from stream_app.telemetry.logs import configure_logging, name_application
from stream_app.worker.process import Process
from stream_app.worker.supervised import Supervised
from stream_app.worker.worker import Worker

__all__ = ["StreamApp", "create_app", "run"]

log = logging.getLogger(__name__)


class _ChunkSchema(Schema):  # type: ignore[misc]
    """Chunks pass through Faust as they are; decoding is a stage of ours."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> Any:  # noqa: ARG002
        return message.key

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:  # noqa: ARG002
        return message.value


class _Boot(faust.App.BootStrategy):  # type: ignore[misc]
    """Start the consumer, the agent and what connects them; no tables, no leader, no producer."""

    def kafka_producer(self) -> list[Any]:
        return []

    def kafka_consumer(self) -> list[Any]:
        return [self.app.consumer]

    def tables(self) -> list[Any]:
        return []

    def web_server(self) -> list[Any]:
        """None, whatever Faust's command line says: metrics and health have a server of their own."""
        return []


class _FaustSettings(faust.Settings):  # type: ignore[misc]
    """What the app is given, and nothing from the environment: see `faust_environment`."""

    def _init_env_prefix(self, **_: Any) -> None:
        self.env: Mapping[str, str] = {}

    def getenv(self, env_name: str) -> None:
        """Nothing is set."""


class StreamApp(faust.App):  # type: ignore[misc]
    """A Faust app around one worker."""

    BootStrategy = _Boot
    Settings = _FaustSettings
    logger = logging.getLogger("faust.app")
    worker: Worker
    process: Process
    error: BaseException | None = None
    """What ended the process, if something did."""

    def _create_directories(self) -> None:
        """Nothing: Faust's folders are for tables, and there are none."""

    async def on_shutdown(self) -> None:
        """Stop serving metrics and health last."""
        await super().on_shutdown()
        self.worker.stop()

    def _init_fixups(self) -> list[Any]:
        """None: Django's is switched on by a variable of the environment."""
        return []

    def fail(self, error: BaseException) -> None:
        """End the process: nothing unfinished is committed, and a restart reads it again.

        If a restart is enough, batches in flight are finished first. An error that a person has to
        mend is one line of the log; any other error is a bug and is logged with a traceback.
        """
        if self.error is not None or isinstance(error, StoppingError):
            return
        self.error = error
        sentence = " ".join(str(error).split())
        if isinstance(error, RestartError):
            log.critical("%s", sentence)
        else:
            known = isinstance(error, FatalError | ConfigurationError)
            log.critical("cannot go on: %s", sentence, exc_info=None if known else error)
            if not known:
                self.worker.crashed()
            self.worker.give_up(sentence)
        self.process.stop_in_order()


def create_app(settings: Settings, usecase: UseCase) -> StreamApp:
    """Build the worker and its Faust app; raises `ConfigurationError`."""
    name_application(settings.application or usecase.name, settings.group_instance_id)
    worker = Worker(settings, usecase)
    app = StreamApp(
        worker.application,
        broker="confluent-chunks://kafka",  # addresses are librdkafka's: settings.bootstrap_servers
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_buffer_maxsize=1,
        stream_wait_empty=False,
        Worker=Process,
    )
    app.worker = worker
    events = app.topic(*worker.topics, schema=_ChunkSchema())

    @app.agent(events, name="predict")  # type: ignore[untyped-decorator]
    async def predict(stream: Any) -> None:
        pipeline = worker.pipeline()
        try:
            async for event in stream.noack().events():
                pipeline(event.value)
                event.ack()
        except Exception as error:  # noqa: BLE001 - Faust would restart the agent and go on
            app.fail(error)
        finally:
            pipeline.close()

    return app


def run(settings: Settings, usecase: UseCase, supervised: Supervised | None = None) -> NoReturn:
    """Run a worker until it is told to stop, and end the process with its exit status.

    `supervised`: the line to who watches it. 0 after an orderly stop, 1 after a failure, 2 for settings that turned out wrong. Raises
    `ConfigurationError` for what is wrong before it has begun.
    """
    app = create_app(settings, usecase)
    app.worker.start()
    faulthandler.enable()  # where a native crash happened is in the log
    process = Process(app)
    if supervised is not None:
        supervised.started(app.worker.application, app.worker.port, process.stop_soon)
    process.execute_from_commandline()


def __getattr__(name: str) -> Any:
    """Build ``app`` when asked for, so that ``faust -A stream_app.worker.app worker`` finds it."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        app = _from_settings()
    except ConfigurationError as error:
        print(f"stream-app: {error}", file=sys.stderr)
        sys.exit(2)
    globals()[name] = app  # asked for twice, it is built once
    return app


def _from_settings() -> StreamApp:
    """The app of the use case that the settings name, as `stream-app run` has it."""
    settings = Settings.load()
    settings.check_kafka_properties()
    configure_logging(settings.log_level, settings.log_format, settings.secrets())
    app = create_app(settings, chosen_usecase(settings))
    app.worker.start()
    return app
