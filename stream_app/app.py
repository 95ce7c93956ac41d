"""The Faust app: its agent takes each chunk of records through the pipeline."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import signal
from typing import Any

import faust
from faust.serializers.schemas import Schema

from features.usecase import UseCase
from stream_app.errors import ConfigurationError, FatalError, StoppingError
from stream_app.logs import configure_logging, get_logger
from stream_app.settings import Settings
from stream_app.watchdog import end_process
from stream_app.worker import Worker

__all__ = ["StreamApp", "create_app", "run"]

log = get_logger(__name__)

_LAST_SECONDS = 5.0
"""How long threads may take to notice that the worker has stopped."""


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


class _Process(faust.Worker):  # type: ignore[misc]
    """The process: a first signal stops it in order, a second one at once."""

    def _schedule_shutdown(self, number: signal.Signals) -> None:
        if self._signal_stop_time:
            what = f"{number.name} while stopping: the process ends, and what is unfinished is read again"
            end_process(what, 128 + number)
        log.info("%s: finishing what is in flight; a second signal stops at once", number.name)
        super()._schedule_shutdown(number)


class StreamApp(faust.App):  # type: ignore[misc]
    """A Faust app around one worker."""

    BootStrategy = _Boot
    logger = logging.getLogger("faust.app")
    worker: Worker
    error: BaseException | None = None
    """What ended the process, if something did."""

    def _create_directories(self) -> None:
        """Nothing: Faust's folders are for tables, and there are none."""

    async def on_shutdown(self) -> None:
        """Stop serving metrics and health last."""
        await super().on_shutdown()
        self.worker.stop()

    def fail(self, error: BaseException) -> None:
        """End the process: nothing unfinished is committed, and a restart reads it again."""
        if self.error is not None or isinstance(error, StoppingError):
            return
        self.error = error
        known = isinstance(error, FatalError | ConfigurationError)
        log.critical("cannot go on: %s", error, exc_info=None if known else error)
        if not known:
            self.worker.crashed()
        self.worker.give_up_waiting()
        self._crashing = asyncio.ensure_future(self.crash(error))


def create_app(settings: Settings, usecase: UseCase) -> StreamApp:
    """Build the worker and its Faust app; raises `ConfigurationError`."""
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
        Worker=_Process,
    )
    app.worker = worker
    events = app.topic(*worker.topics, schema=_ChunkSchema())

    @app.agent(events, name="predict")  # type: ignore[untyped-decorator]
    async def predict(stream: Any) -> None:
        pipeline = worker.pipeline(on_crash=app.fail)
        try:
            async for event in stream.noack().events():
                await pipeline(event.value)
                worker.chunk_taken()
                event.ack()
        except StoppingError as error:
            log.info("%s; what was unfinished is read again", error)
        except Exception as error:  # noqa: BLE001 - Faust would restart the agent and go on
            app.fail(error)
        finally:
            pipeline.close()

    return app


def run(settings: Settings, usecase: UseCase) -> int:
    """Run a worker until it is told to stop; returns the process's exit status.

    0 after an orderly stop, 1 after a failure, 2 for settings that turned out wrong. Does not return, but ends the process, where a thread
    is stuck or a second signal asks for it (128 and the signal's number). Raises `ConfigurationError` before it has begun.
    """
    app = create_app(settings, usecase)
    app.worker.start()
    faulthandler.enable()  # where a native crash happened is in the log
    runner = _Process(app, override_logging=False, redirect_stdouts=False, quiet=True)
    runner.spinner = None  # its control characters would end up in log files
    try:
        runner.execute_from_commandline()
    except SystemExit as stop:
        log.debug("faust ended with status %s", stop.code)
    except Exception as error:
        if error is not app.error:
            raise
    if stuck := app.worker.watchdog.unfinished(_LAST_SECONDS):
        # The interpreter would wait for its threads before it ends.
        end_process(f"stopped while still at work ({stuck}); what is unfinished is read again")
    status = 0 if app.error is None else 2 if isinstance(app.error, ConfigurationError) else 1
    if app.worker.is_leaving:
        # The interpreter must not be taken down under a thread that is inside librdkafka.
        end_process("the brokers did not answer while the group was left", status)
    return status


def __getattr__(name: str) -> Any:
    """Build ``app`` when asked for, so that ``faust -A stream_app.app worker`` finds it."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from stream_app.loading import load_usecase

    settings = Settings.load()
    configure_logging(settings.log_level, settings.log_format)
    app = create_app(settings, load_usecase(settings.usecase or ""))
    app.worker.start()
    globals()[name] = app  # asked for twice, it is built once
    return app
