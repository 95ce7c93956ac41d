"""The composition root: the only place that builds concrete things, and the agent."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faust
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from faust.serializers.schemas import Schema

from features.engine import FeatureEngine
from features.stores import MemoryStore, Store
from features.usecase import UseCase
from stream_app import __version__
from stream_app.accounting import account_for
from stream_app.align import AlignStage
from stream_app.commit import CommitStage
from stream_app.dead_letters import DeadLetters
from stream_app.decode import DecodeStage
from stream_app.end_offsets import EndOffsets
from stream_app.enrich import EnrichStage
from stream_app.errors import StoppingError
from stream_app.health import Health
from stream_app.http_server import HttpServer
from stream_app.lag import PartitionLag
from stream_app.logs import get_logger
from stream_app.metrics import Metrics
from stream_app.models import Model, load_model
from stream_app.patience import Patience
from stream_app.pipeline import Pipeline, Stages
from stream_app.publish import FeatureLog, OutgoingRecords, PublishStage
from stream_app.records import Batch, Chunk
from stream_app.score import ScoreStage
from stream_app.settings import Settings
from stream_app.sources import Sources
from stream_app.state import StateStage
from stream_app.transport.client import ClientThread

__all__ = ["StreamApp", "create_app"]

log = get_logger(__name__)

_GC_THRESHOLD = 100_000
"""Allocations between two collections of the youngest generation."""


class _ChunkSchema(Schema):  # type: ignore[misc]
    """Chunks pass through Faust as they are; decoding is a stage of ours."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> Any:
        return message.key

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        return message.value


class _Boot(faust.App.BootStrategy):  # type: ignore[misc, name-defined]
    """Start the consumer, the agent and what connects them; no tables, no leader, no producer."""

    def kafka_producer(self) -> list[Any]:
        return []

    def kafka_consumer(self) -> list[Any]:
        return [self.app.consumer]

    def tables(self) -> list[Any]:
        return []


class StreamApp(faust.App):  # type: ignore[misc]
    """A Faust app around one use case."""

    BootStrategy = _Boot

    def configure_worker(self, settings: Settings, usecase: UseCase) -> None:
        """Build everything the worker consists of; loads and checks the models."""
        self.settings = settings
        self.group = settings.application or usecase.name
        self.metrics = Metrics()
        self.health = Health()
        self.http = HttpServer(
            settings.http_host, settings.http_port, self.metrics.registry, self.health
        )
        self.error: BaseException | None = None
        self.patience = Patience(
            initial_seconds=settings.backoff_initial_seconds,
            max_seconds=settings.backoff_max_seconds,
            on_waiting=self._waiting,
        )
        champion, *fallbacks = load_models(settings.artifacts, usecase)
        self.metrics.build(__version__, champion.name, champion.version)
        self.admin = AdminClient(settings.admin_properties())
        self.commit = CommitStage()
        engine = FeatureEngine(usecase.features)
        state = StateStage(
            engine,
            open_store(settings, usecase, self.group),
            self.patience,
            on_seconds=self.metrics.redis_seconds,
            on_conflicts=self.metrics.state_conflicts,
        )
        self.align = AlignStage(
            enabled=settings.alignment,
            grace_seconds=settings.alignment_grace_seconds,
            wait_seconds=settings.alignment_wait_seconds,
            held_bytes_per_partition=settings.held_bytes_per_partition,
            held_bytes_total=settings.held_bytes_total,
            batch_max_records=settings.batch_max_records,
            batch_max_bytes=settings.batch_max_bytes,
            pause=lambda partitions: self.consumer.client.pause(partitions),
            resume=lambda partitions: self.consumer.client.resume(partitions),
            on_gave_up=self._gave_up,
        )
        feature_log = None
        if settings.feature_log_topic:
            feature_log = FeatureLog(
                settings.feature_log_topic, settings.feature_log_share, usecase.features.columns
            )
        self.stages = Stages(
            sources=Sources(self.admin, state, self.patience),
            decode=DecodeStage(
                {topic.name: topic.decoder for topic in usecase.topics},
                usecase.times,
                max_value_bytes=settings.max_value_bytes,
                clock_ahead_seconds=settings.clock_ahead_seconds,
                on_unknown_fields=self.metrics.unknown_fields,
                on_clock_corrected=self.metrics.clock_corrected,
            ),
            align=self.align,
            enrich=EnrichStage(engine, state, usecase.times),
            score=ScoreStage(champion, fallbacks, usecase.fields),
            outgoing=OutgoingRecords(
                usecase.predictions_topic,
                DeadLetters(
                    usecase.dead_letters_topic,
                    group=self.group,
                    code_version=__version__,
                    model_version=f"{champion.name}/{champion.version}",
                ),
                feature_log,
            ),
            publish=PublishStage(
                lambda: Producer(settings.producer_properties()),
                self.patience,
                stopping=self.patience.stopped,
                on_waiting=self._waiting,
            ),
            state=state,
            commit=self.commit,
        )
        self.topic_names = [topic.name for topic in usecase.topics]
        self.end_offsets = EndOffsets(self.admin, self.commit, lambda: self._partitions())
        self.metrics.watch_lag(self._lag)

    def add_agent(self) -> None:
        """Attach the agent: it takes each chunk through the path of a record."""
        topic = self.topic(*self.topic_names, schema=_ChunkSchema())

        @self.agent(topic, name="predict")  # type: ignore[untyped-decorator]
        async def predict(stream: Any) -> None:
            pipeline = Pipeline(
                self.stages,
                self.metrics,
                depth=self.settings.pipeline_depth,
                on_finished=self._finished,
                on_crash=self.fail,
            )
            self.pipeline = pipeline
            try:
                async for event in stream.noack().events():
                    await pipeline(event.value)
                    self._taken()
                    event.ack()
            except StoppingError:
                log.info("stopped while a service was away; what was unfinished is read again")
            except Exception as error:  # noqa: BLE001 - Faust would restart the agent and go on
                self.fail(error)

    # Called by the transport.

    def make_client(
        self, on_chunk: Callable[[Chunk], None], on_crash: Callable[[BaseException], None]
    ) -> ClientThread:
        """The client thread for this app's topics."""
        settings = self.settings
        return ClientThread(
            settings.consumer_properties(self.group),
            self.topic_names,
            on_chunk=on_chunk,
            on_crash=on_crash,
            commit=self.commit,
            metrics=self.metrics,
            poll_max_records=settings.poll_max_records,
            linger_seconds=settings.linger_seconds,
            commit_interval_seconds=settings.commit_interval_seconds,
            chunk_buffer=settings.chunk_buffer,
            revoke_seconds=settings.drain_seconds,
        )

    async def drain(self, client: ClientThread) -> None:
        """Consume no more, finish what is under way within the drain time, commit, leave."""
        loop = asyncio.get_running_loop()
        drained = await loop.run_in_executor(None, self.pipeline.close, self.settings.drain_seconds)
        self.patience.stop()
        if not drained:
            log.warning("not all work was finished in time; what is unfinished is read again")
        client.stop()
        await loop.run_in_executor(None, client.join, 30.0)

    def fail(self, error: BaseException) -> None:
        """End the process: nothing unfinished is committed, and a restart reads it again."""
        if self.error is not None or isinstance(error, StoppingError):
            return
        self.error = error
        log.critical("cannot go on: %s: %s", type(error).__name__, error, exc_info=error)
        self.patience.stop()
        self._crashing = asyncio.ensure_future(self.crash(error))

    # Notes for metrics and health.

    def _taken(self) -> None:
        client = self.consumer.client
        client.holding = self.align.held_records > 0
        client.tick_seconds = min(0.1, max(0.005, self.settings.alignment_grace_seconds / 4))
        client.chunk_done()
        self.health.beat()
        self.metrics.held(self.align.held_records, self.align.held_bytes)

    def _finished(self, batch: Batch) -> None:
        account_for(batch, self.metrics)

    def _waiting(self, service: str, waiting: bool) -> None:
        self.metrics.waiting(service, waiting)
        if waiting:
            self.health.waiting_for(service)
        else:
            self.health.arrived(service)

    def _gave_up(self, partition: Any) -> None:
        self.metrics.alignment_gave_up()
        log.warning("%s delivers nothing; going on without it until it does", partition)

    def _partitions(self) -> list[Any]:
        client = self.consumer.client
        return client.partitions if client else []

    def _lag(self) -> list[PartitionLag]:
        return self.end_offsets.lag()

    async def on_start(self) -> None:
        """Serve metrics and health before anything else, so that a slow start can be watched."""
        self.http.start()
        self.end_offsets.start()
        # What exists now lives as long as the process: keep the collector from walking it again
        # and again (a third of the CPU time of an event, measured).
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD)
        await super().on_start()

    async def on_stop(self) -> None:
        """Stop what was started beside Faust."""
        self.patience.stop()
        self.end_offsets.stop()
        self.http.stop()
        await super().on_stop()


def load_models(artifacts: Path, usecase: UseCase) -> list[Model]:
    """The champion and the fallbacks, checked; raises `ModelRefusedError`."""
    folders = [usecase.champion, *usecase.fallbacks]
    return [load_model(artifacts / folder, usecase) for folder in folders]


def open_store(settings: Settings, usecase: UseCase, application: str) -> Store:
    """The store for a use case's states: Redis, or nothing where no view is declared."""
    if not usecase.features.views:
        return MemoryStore(usecase.features)
    from redis import Redis

    from features.stores.redis import RedisStore

    client = Redis.from_url(
        settings.redis_url.get_secret_value(),
        socket_timeout=settings.redis_timeout_seconds,
        socket_connect_timeout=settings.redis_timeout_seconds,
    )
    return RedisStore(client, usecase.features, application, buckets=settings.state_buckets)


def create_app(settings: Settings, usecase: UseCase) -> StreamApp:
    """Build the worker's Faust app; nothing connects before it is started.

    Raises `ConfigurationError` or `ModelRefusedError`.
    """
    app = StreamApp(
        settings.application or usecase.name,
        broker="confluent-chunks://kafka",  # addresses are librdkafka's: settings.bootstrap_servers
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_buffer_maxsize=1,
        stream_wait_empty=False,
        datadir=".stream-app",
    )
    app.configure_worker(settings, usecase)
    app.add_agent()
    return app


def run(settings: Settings, usecase: UseCase) -> int:
    """Run a worker until it is told to stop; returns the process's exit status."""
    app = create_app(settings, usecase)
    worker = faust.Worker(app, override_logging=False, redirect_stdouts=False, quiet=True)
    try:
        worker.execute_from_commandline()
    except SystemExit:
        return 1 if app.error else 0
    return 1 if app.error else 0
