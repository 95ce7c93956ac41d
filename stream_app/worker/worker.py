"""The composition root: the only place that builds concrete things."""

from __future__ import annotations

import gc
import logging
import threading
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from confluent_kafka.admin import AdminClient

from stream_app import __version__
from stream_app.alignment.align import AlignStage
from stream_app.config.settings import Settings
from stream_app.crash_isolation.isolation import CrashIsolation, guarded
from stream_app.crash_isolation.trial import Trial
from stream_app.delivery.publish import Publishing, PublishStage
from stream_app.delivery.refusals import Refusals
from stream_app.delivery.transactions import TransactionStage
from stream_app.errors import ConfigurationError, FatalError
from stream_app.features.engine.engine import FeatureEngine
from stream_app.features.usecase import UseCase
from stream_app.kafka.co_partitioning import tell_whether_co_partitioned
from stream_app.kafka.connection_causes import ConnectionCauses
from stream_app.kafka.consumer.client_thread import ClientThread
from stream_app.kafka.consumer.membership import Membership
from stream_app.kafka.consumer.start_positions import StartPositions
from stream_app.kafka.credential_files import CredentialFiles
from stream_app.kafka.end_offsets import EndOffsets
from stream_app.kafka.offset_metadata import Group
from stream_app.kafka.offset_tracker import CommitStage
from stream_app.kafka.output_topics import OutputTopics
from stream_app.kafka.producers import Producers
from stream_app.kafka.queries import idle_members, reach
from stream_app.kafka.topic_ids import Sources
from stream_app.models import Model, load_models
from stream_app.predictor.enrich import EnrichStage
from stream_app.predictor.score import ScoreStage
from stream_app.records.chunk import Chunk
from stream_app.records.partition import Partition
from stream_app.recovery.log_replay import RECORDS_A_STEP
from stream_app.recovery.recovery import Recovery
from stream_app.state.open_store import open_store
from stream_app.state.stage import StateStage
from stream_app.state.store_errors import ask
from stream_app.telemetry.batch_metrics import account_for
from stream_app.telemetry.failure_log import FailureLog
from stream_app.telemetry.health import Health
from stream_app.telemetry.http_server import HttpServer
from stream_app.telemetry.metrics import Metrics
from stream_app.waiting.outages import Absences
from stream_app.waiting.retry import Patience
from stream_app.wire.dead_letter import DeadLetters
from stream_app.wire.outgoing import FeatureLog, OutgoingRecords
from stream_app.worker.assembly import decode_stage, make_rebuild, record_clock
from stream_app.worker.pipeline import Pipeline, Stages
from stream_app.worker.watchdog import Watchdog

__all__ = ["GC_THRESHOLD", "Worker"]

log = logging.getLogger(__name__)

_librdkafka = logging.getLogger("librdkafka")

GC_THRESHOLD: Final = 400_000
"""Allocations between two collections of the youngest generation: more than the objects that records
held for their turn consist of, which each collection would walk over in vain (3 us an event)."""
_REGION_BATCHES: Final = 2
"""How many batches' records of one partition a process that dies may have had in hand."""
_REQUEST_SECONDS: Final = 5.0
_LEAVE_SECONDS: Final = 5.0
"""How long the last commit and leaving the group may take."""
_NOTICE_SECONDS: Final = 0.2
"""How long the client thread may take to notice a stop where there is no group to leave yet."""


class Worker:
    """Everything a worker for one use case consists of, Faust apart.

    Construction loads and checks the models and connects to nothing; it raises
    `ConfigurationError`. `start` listens for metrics and health.
    """

    def __init__(self, settings: Settings, usecase: UseCase) -> None:
        self.settings = settings
        self.application = settings.application or usecase.name
        self.topics = [topic.name for topic in usecase.topics]
        self.metrics = Metrics()
        self._failure_log = FailureLog()
        self._absences = Absences(on_change=self._away)
        self.health = Health(
            settings.work_deadline_seconds, before_answering=self._absences.forget_the_dead
        )
        self.watchdog = Watchdog(settings.work_deadline_seconds)
        self._causes = ConnectionCauses(settings.bootstrap_servers, secrets=settings.secrets())
        self._http = HttpServer(
            settings.http_host, settings.http_port, self.metrics.registry, self.health
        )
        self._patience = Patience(
            initial_seconds=settings.backoff_initial_seconds,
            max_seconds=settings.backoff_max_seconds,
            on_waiting=self._waiting,
            refusal_seconds=settings.refusal_seconds,
            explained=self._causes.explained,
        )
        self._credentials = CredentialFiles(
            settings.credential_files(),
            check=settings.check_kafka_properties,
            on_changed=lambda error: self._on_crash(error),
        )
        self._admin = AdminClient(
            self._causes.watched(settings.admin_properties()), logger=_librdkafka
        )
        self._causes.poll(self._admin)
        self._commit = CommitStage()
        self._client: ClientThread | None = None
        self._is_looking = True
        """Whether everything was not reached once yet: it is no member of its group."""
        self._given_up = False
        self._on_crash: Callable[[BaseException], None] = lambda _: None
        self._leaving = False
        self._sources = Sources(self._admin, self.topics)
        self._output_topics = OutputTopics(
            self._admin,
            predictions=usecase.predictions_topic,
            dead_letters=usecase.dead_letters_topic,
            feature_log=settings.feature_log_topic,
            max_value_bytes=settings.max_value_bytes,
        )
        self._stages = self._build_stages(usecase)
        self._end_offsets = EndOffsets(
            self._admin,
            self._sources,
            self._commit,
            lambda: self.partitions,
            self._patience,
        )
        self.metrics.watch_lag(self._end_offsets.lag)

    def _build_stages(self, usecase: UseCase) -> Stages:
        settings, metrics = self.settings, self.metrics
        champion, *fallbacks = self._load_models(usecase)
        engine = FeatureEngine(usecase.features)
        store = self._store = open_store(settings, usecase, self.application, self._admin)
        state = StateStage(
            engine,
            store,
            self._patience,
            on_seconds=metrics.redis_seconds,
            on_conflicts=metrics.state_conflicts,
        )
        rebuilding: set[Partition] = set()

        def source_id(partition: Partition) -> int:
            return state.fencing[partition].source_id

        dead_letters = DeadLetters(
            usecase.dead_letters_topic,
            group=self.application,
            code_version=__version__,
            model_version=f"{champion.name}/{champion.version}",
        )
        return Stages(
            clock=record_clock(
                settings, usecase, self._patience, on_corrected=metrics.clock_corrected
            ),
            isolation=CrashIsolation(
                Trial(settings, self._patience, source_id, on_progress=self._progress),
                self._commit,
                starts=settings.crash_isolation_starts,
                region_records=_REGION_BATCHES * settings.batch_max_records,
            ),
            decode=decode_stage(settings, usecase, on_unknown_fields=metrics.unknown_fields),
            align=AlignStage(
                enabled=settings.alignment,
                grace_seconds=settings.alignment_grace_seconds,
                wait_seconds=settings.alignment_wait_seconds,
                held_bytes_per_partition=settings.held_bytes_per_partition,
                held_bytes_total=settings.held_bytes_total - settings.queue_bytes,
                batch_max_records=settings.batch_max_records,
                batch_max_bytes=settings.batch_max_bytes,
                pause=lambda partitions: self._connected.pause(partitions),
                resume=lambda partitions: self._connected.resume(partitions),
                on_gave_up=self._gave_up,
            ),
            enrich=EnrichStage(engine, state, usecase.times, rebuilding),
            score=ScoreStage(champion, fallbacks, usecase.fields, usecase.prediction),
            outgoing=OutgoingRecords(
                usecase.predictions_topic,
                dead_letters,
                FeatureLog(
                    settings.feature_log_topic, settings.feature_log_share, usecase.features.columns
                )
                if settings.feature_log_topic
                else None,
                usecase.prediction,
            ),
            publish=self._publishing(
                Refusals(dead_letters, limit_bytes=self._output_topics.limit_bytes)
            ),
            state=state,
            recovery=Recovery(
                state,
                self._commit,
                make_rebuild(
                    settings,
                    usecase,
                    self.application,
                    store,
                    self._patience,
                    metrics,
                    partial(
                        guarded,
                        attempt=Trial(
                            settings, self._patience, source_id, on_progress=self.watchdog.progress
                        ),
                        start_count=self._commit.start_count,
                        starts=settings.crash_isolation_starts,
                        region_records=RECORDS_A_STEP,
                    ),
                    self.watchdog.work,
                ),
                rebuilding,
                mode=settings.while_rebuilding if fallbacks else "wait",
                in_hand_records=(settings.pipeline_depth + 1) * settings.batch_max_records,
                on_waiting=self._waiting,
                on_partitions=metrics.rebuilding,
            ),
            commit=self._commit,
        )

    def _publishing(self, refusals: Refusals) -> Publishing:
        settings = self.settings
        if settings.delivery == "at_least_once":
            return PublishStage(
                Producers(self._causes.watched(settings.producer_properties())),
                self._patience,
                refusals,
                has_ended=self._commit.has_ended,
                look=self._output_topics.look,
                stopping=self._patience.stopped,
                on_waiting=self._waiting,
            )
        instance = settings.group_instance_id or uuid.uuid4().hex
        properties = self._causes.watched(
            settings.transaction_properties(self.application, instance)
        )
        group = Group(settings.consumer_properties(self.application))
        return TransactionStage(
            Producers(properties),
            self._patience,
            refusals,
            self._commit,
            interval_seconds=settings.commit_interval_seconds,
            timeout_seconds=settings.transaction_timeout_seconds,
            group_metadata=lambda: self._connected.group_metadata(),
            committed=group.committed,
            look=self._output_topics.look,
            on_waiting=self._waiting,
        )

    def _load_models(self, usecase: UseCase) -> list[Model]:
        models = load_models(usecase, self.settings.artifacts)
        self.metrics.build(__version__, models[0].name, models[0].version)
        log.info("champion %s; fallbacks: %s", models[0], ", ".join(map(str, models[1:])) or "none")
        return models

    def start(self) -> None:
        """Serve metrics and health; raises `ConfigurationError` where it cannot listen."""
        self._http.start()
        self._end_offsets.start()
        self.watchdog.start()
        # What exists now lives as long as the process: keep the collector from walking it again
        # and again (a third of the CPU time of an event, measured).
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)

    def connect(
        self, on_chunk: Callable[[Chunk], None], on_crash: Callable[[BaseException], None]
    ) -> None:
        """Join the group; chunks are handed over on the client thread."""
        settings = self.settings
        self._on_crash = on_crash
        self._credentials.start()
        membership = Membership(self._say_ready)
        self._end_offsets.on_crash = on_crash
        self._end_offsets.when_idle = lambda: membership.look(
            lambda: idle_members(self._admin, self.application, _REQUEST_SECONDS)
        )
        self._client = ClientThread(
            self._causes.watched(settings.consumer_properties(self.application)),
            self.topics,
            on_chunk=on_chunk,
            on_crash=on_crash,
            on_waiting=self._waiting,
            membership=membership,
            before_joining=self._preflight,
            commit=self._commit,
            positions=StartPositions(
                self._admin,
                self._sources,
                self._patience,
                starts_at=settings.starts_at,
                on_gone=settings.on_gone,
                applied=self._applied,
                on_gone_records=self.metrics.gone_by_retention,
                on_skipped_records=self.metrics.skipped_at_start,
            ),
            metrics=self.metrics,
            poll_max_records=settings.poll_max_records,
            linger_seconds=settings.linger_seconds,
            commit_interval_seconds=settings.commit_interval_seconds,
            chunk_buffer=settings.chunk_buffer,
            revoke_seconds=settings.drain_seconds,
            beside_transactions=self._stages.publish.commits_offsets,
            refusal_seconds=settings.refusal_seconds,
            isolation_starts=settings.crash_isolation_starts,
            tick_seconds=min(0.1, max(0.005, settings.alignment_grace_seconds / 4)),
        )
        self._say_ready(False, "The worker has not joined its consumer group yet.")
        self._client.start()

    def _say_ready(self, ready: bool, why: str) -> None:
        if not self._leaving:
            self.health.ready(ready, why)

    def _applied(self, partitions: Sequence[Partition]) -> Sequence[int]:
        """Through which offset the state holds each partition's records; -1 for none."""
        state = self._stages.state
        if not state.has_views:
            return [-1] * len(partitions)
        state.register(dict.fromkeys(partitions, 0))
        return state.applied(partitions)

    def _preflight(self) -> None:
        """Reach everything once and look at it, before partitions are taken from other workers.

        Runs on the client thread; a service that is away is waited for. Raises `ConfigurationError`
        for what cannot work, in a sentence that names the setting, the topic or the right.
        """
        checks: list[tuple[str, Callable[[], None]]] = [
            ("kafka", lambda: tell_whether_co_partitioned(self._sources.partitions())),
            ("kafka", self._output_topics.check),
            ("kafka", self._stages.publish.check),
            ("redis", partial(ask, self._store.check_access)),
        ]
        self._patience("kafka", lambda: reach(self._admin, self.topics))
        try:
            for service, check in checks:
                self._patience(service, check)
        except FatalError as error:
            # Whatever is refused for good at the start was given to the worker wrong.
            raise ConfigurationError(str(error)) from error
        self._is_looking = False

    def pipeline(self, on_crash: Callable[[BaseException], None]) -> Pipeline:
        """The path of a record, for the event loop that is running."""
        return Pipeline(
            self._stages,
            self.metrics,
            self.watchdog,
            depth=self.settings.pipeline_depth,
            on_finished=lambda batch: account_for(batch, self.metrics, self._failure_log),
            on_crash=on_crash,
        )

    def chunk_taken(self) -> None:
        """Note that a chunk went into the pipeline as a whole."""
        align = self._stages.align
        self._failure_log.look()
        self._connected.chunk_done(holding=align.held_records > 0, crowded=align.crowded)
        self.health.beat()
        self.metrics.held(align.held_records, align.held_bytes)

    @property
    def _connected(self) -> ClientThread:
        assert self._client is not None, "records come from a client"
        return self._client

    @property
    def partitions(self) -> Sequence[Partition]:
        """The partitions assigned now."""
        return self._client.partitions if self._client else []

    def drain(self) -> None:
        """Finish what is under way within the drain time, commit it and leave the group."""
        if not self._given_up:
            self._say_ready(False, "The worker is stopping.")
            self._leaving = True
            if not self._commit.settle(None, self.settings.drain_seconds):
                log.warning("not all work was finished in time; what is unfinished is read again")
        self._give_up_waiting()
        if self._client is not None:
            self._client.stop()
            self._client.join(_NOTICE_SECONDS if self._is_looking else _LEAVE_SECONDS)
        self._stages.recovery.join(_LEAVE_SECONDS)
        try:
            self._stages.publish.close()
        except Exception as error:  # noqa: BLE001 - what it did not finish is read again
            log.info("the producer could not be closed in order: %s", error)
        self._failure_log.close()

    def give_up(self, why: str) -> None:
        """End every wait for a service, and say to probes why the worker ends."""
        self.health.ready(False, why)
        self._given_up = self._leaving = True
        self._give_up_waiting()

    def _give_up_waiting(self) -> None:
        self._patience.stop()
        self._stages.recovery.stop()

    @property
    def inside_librdkafka(self) -> str:
        """What threads are still inside a call to the brokers for, though all was stopped."""
        inside = {
            "kafka-client": "while the group was left",
            "transaction": "a transaction",
            "rebuild": "while the log was read again",
        }
        names = {thread.name for thread in threading.enumerate()}
        return ", ".join(what for name, what in inside.items() if name in names)

    def crashed(self) -> None:
        """Something went wrong at work: let this start count as one that got nowhere."""
        if self._client is not None:
            self._client.crashed()

    def stop(self) -> None:
        """Stop serving metrics and health."""
        self.watchdog.stop()
        self._end_offsets.stop()
        self._credentials.stop()
        self._http.stop()

    def _waiting(self, service: str, waiting: bool, why: str = "") -> None:
        """Note that the calling thread waits for a service, or (`waiting` false) no more."""
        self.watchdog.waiting(service, waiting)
        self._absences(service, waiting, self._causes.told(service, why) if waiting else why)

    def _progress(self) -> None:
        """Work that takes long got on."""
        self.watchdog.progress()
        self.health.beat()

    def _away(self, service: str, waiting: bool, why: str) -> None:
        self.metrics.waiting(service, waiting)
        if waiting:
            self.health.waiting_for(service, why)
        else:
            self.health.arrived(service)
            if service == "kafka":
                self._causes.forget()

    def _gave_up(self, partition: Partition) -> None:
        self.metrics.alignment_gave_up()
        log.warning("%s delivers nothing; going on without it until it does", partition)
