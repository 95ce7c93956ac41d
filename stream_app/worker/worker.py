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
from stream_app.features.usecase import UseCase
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.co_partitioning import tell_whether_co_partitioned
from stream_app.kafka.connection_causes import ConnectionCauses
from stream_app.kafka.consumer.client_thread import ClientThread
from stream_app.kafka.consumer.membership import Membership
from stream_app.kafka.consumer.start_positions import StartPositions
from stream_app.kafka.credential_files import CredentialFiles
from stream_app.kafka.end_offsets import EndOffsets
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.kafka.output_topics import OutputTopics
from stream_app.kafka.producers import Producers
from stream_app.kafka.topic_ids import TopicIds
from stream_app.models import Model, load_models
from stream_app.observer.events import ChunkWorkedOff
from stream_app.observer.observer import Observer
from stream_app.predictor.assembly import decode_stage, make_predictor
from stream_app.records.chunk import Chunk
from stream_app.records.partition import Partition
from stream_app.recovery.log_replay import RECORDS_A_STEP
from stream_app.recovery.recovery import Recovery
from stream_app.state.open_store import open_store
from stream_app.state.store_errors import ask
from stream_app.telemetry.failure_log import FailureLog
from stream_app.telemetry.health import Health
from stream_app.telemetry.http_routes import worker_routes
from stream_app.telemetry.http_server import HttpServer
from stream_app.telemetry.lag import LagCollector
from stream_app.telemetry.metrics import Metrics
from stream_app.text.rate_limited import RateLimited
from stream_app.waiting.outages import Outages
from stream_app.waiting.retry import Retry
from stream_app.wire.dead_letter import DeadLetters
from stream_app.wire.feature_row import FeatureLog
from stream_app.wire.outgoing import Emitter, OutgoingRecords
from stream_app.wire.prediction import Predictions
from stream_app.worker.assembly import make_log_replay, record_clock
from stream_app.worker.deliver_thread import DeliverThread
from stream_app.worker.listeners import (
    health_listeners,
    log_listeners,
    metrics_listeners,
    outage_listeners,
    watchdog_listeners,
)
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
_UNBELIEVED_REPLAY: Final = (
    "a record has a header replay-of without a replay-token made with this worker's replay_secret: "
    "it is taken as a record of its own"
)
_TELL_SECONDS: Final = 60.0
_REQUEST_SECONDS: Final = 5.0
_REACH_SECONDS: Final = 2.0
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
        self.watchdog = Watchdog(settings.work_deadline_seconds)
        self._causes = ConnectionCauses(settings.bootstrap_servers, secrets=settings.secrets())
        self.health = Health(
            settings.work_deadline_seconds, before_answering=lambda: outages.forget_the_dead()
        )
        outages = Outages(
            Observer(outage_listeners(self.metrics, self.health, self._causes)),
            explained=self._causes.told,
        )
        self._observer = Observer(
            [
                *watchdog_listeners(self.watchdog),
                *metrics_listeners(self.metrics),
                *health_listeners(self.health),
                *log_listeners(self._failure_log, outages),
            ]
        )
        self._http = HttpServer(
            settings.http_host,
            settings.http_port,
            worker_routes(self.metrics.registry, self.health),
        )
        self._retry = Retry(
            initial_seconds=settings.backoff_initial_seconds,
            max_seconds=settings.backoff_max_seconds,
            observer=self._observer,
            refusal_seconds=settings.refusal_seconds,
            explained=self._causes.explained,
        )
        self._credentials = CredentialFiles(
            settings.credential_files(),
            check=settings.check_kafka_properties,
            on_changed=self._crash,
        )
        admin = AdminClient(self._causes.watched(settings.admin_properties()), logger=_librdkafka)
        self._causes.poll(admin)
        self._brokers = Brokers(
            admin, {**settings.consumer_properties(self.application), "log_level": 0}
        )
        self._tracker = OffsetTracker()
        self._client: ClientThread | None = None
        self._is_looking = True
        """True until every service was reached once; until then the worker is in no group."""
        self._given_up = False
        self._on_crash: Callable[[BaseException], None] = lambda _: None
        """Given with `connect`, which starts the threads that may call it."""
        self._membership = Membership(self._observer)
        self._topic_ids = TopicIds(self._brokers, self.topics)
        self._output_topics = OutputTopics(
            self._brokers,
            predictions=usecase.predictions_topic,
            dead_letters=usecase.dead_letters_topic,
            feature_log=settings.feature_log_topic,
            max_value_bytes=settings.max_value_bytes,
            transactional=settings.delivery == "exactly_once",
        )
        self._stages = self._build_stages(usecase)
        self._end_offsets = EndOffsets(
            self._brokers,
            self._topic_ids,
            self._tracker,
            lambda: self.partitions,
            self._retry,
            when_idle=self._look_at_membership,
            on_crash=self._crash,
        )
        self.metrics.registry.register(LagCollector(self._end_offsets.lag))

    def _build_stages(self, usecase: UseCase) -> Stages:
        settings, observer = self.settings, self._observer
        models = self._load_models(usecase)
        store = self._store = open_store(settings, usecase, self.application, self._brokers)

        def source_id(partition: Partition) -> int:
            return predictor.state.fencing[partition].source_id

        dead_letters = DeadLetters(
            usecase.dead_letters_topic,
            group=self.application,
            code_version=__version__,
            model_version=f"{models[0].name}/{models[0].version}",
        )
        isolation = CrashIsolation(
            Trial(settings, self._retry, source_id, observer, of="batches"),
            self._tracker,
            starts=settings.crash_isolation_starts,
            region_records=_REGION_BATCHES * settings.batch_max_records,
        )
        decode = decode_stage(
            settings,
            usecase,
            observer,
            retry=self._retry,
            on_unbelieved_replay=partial(
                RateLimited(log.warning, _TELL_SECONDS), _UNBELIEVED_REPLAY
            ),
        )
        predictor = make_predictor(
            settings,
            usecase,
            models,
            store,
            self._retry,
            observer,
            decode=lambda records: isolation.decode(records, decode),
        )
        emitters: list[Emitter] = [
            Predictions(usecase.predictions_topic, usecase.prediction),
            dead_letters,
        ]
        if settings.feature_log_topic:
            share, columns = settings.feature_log_share, usecase.features.columns
            emitters.append(FeatureLog(settings.feature_log_topic, share, columns))
        publish = self._publishing(
            Refusals(dead_letters, limit_bytes=self._output_topics.limit_bytes)
        )
        self._deliver_thread = DeliverThread(publish, self._tracker, observer, on_crash=self._crash)
        return Stages(
            clock=record_clock(settings, usecase, self._retry, observer),
            isolation=isolation,
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
                observer=observer,
            ),
            predictor=predictor,
            outgoing=OutgoingRecords(emitters),
            publish=publish,
            recovery=Recovery(
                predictor.state,
                self._tracker,
                self._deliver_thread.settle,
                make_log_replay(
                    settings,
                    usecase,
                    self.application,
                    store,
                    self._retry,
                    observer,
                    partial(
                        guarded,
                        attempt=Trial(settings, self._retry, source_id, observer, of="rebuilding"),
                        start_count=self._tracker.start_count,
                        starts=settings.crash_isolation_starts,
                        region_records=RECORDS_A_STEP,
                    ),
                ),
                mode=settings.while_rebuilding if models[1:] else "wait",
                in_hand_records=(settings.pipeline_depth + 1) * settings.batch_max_records,
                observer=observer,
                on_crash=self._crash,
            ),
            tracker=self._tracker,
        )

    def _publishing(self, refusals: Refusals) -> Publishing:
        settings = self.settings
        if settings.delivery == "at_least_once":
            return PublishStage(
                Producers(self._causes.watched(settings.producer_properties())),
                self._retry,
                refusals,
                has_ended=self._tracker.has_ended,
                look=self._output_topics.look,
                why_unacknowledged=self._output_topics.why_unacknowledged,
                stopping=self._retry.stopped,
                observer=self._observer,
            )
        instance = settings.group_instance_id or uuid.uuid4().hex
        properties = self._causes.watched(
            settings.transaction_properties(self.application, instance)
        )
        return TransactionStage(
            Producers(properties),
            self._retry,
            refusals,
            self._tracker,
            interval_seconds=settings.commit_interval_seconds,
            timeout_seconds=settings.transaction_timeout_seconds,
            group_metadata=lambda: self._connected.group_metadata(),
            committed=self._brokers.committed_of,
            look=self._output_topics.look,
            why_unacknowledged=self._output_topics.why_unacknowledged,
            observer=self._observer,
        )

    def _load_models(self, usecase: UseCase) -> list[Model]:
        models = load_models(usecase, self.settings.artifacts)
        self.metrics.build(__version__, models[0].name, models[0].version)
        log.info("champion %s; fallbacks: %s", models[0], ", ".join(map(str, models[1:])) or "none")
        return models

    def start(self) -> None:
        """Serve metrics and health; raises `ConfigurationError` where it cannot listen."""
        self._http.start()
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
        self._end_offsets.start()
        self._client = ClientThread(
            self._causes.watched(settings.consumer_properties(self.application)),
            self.topics,
            on_chunk=on_chunk,
            on_crash=on_crash,
            observer=self._observer,
            membership=self._membership,
            before_joining=self._preflight,
            tracker=self._tracker,
            settle=self._deliver_thread.settle,
            positions=StartPositions(
                self._brokers,
                self._topic_ids,
                self._retry,
                starts_at=settings.starts_at,
                on_gone=settings.on_gone,
                applied=self._applied,
                observer=self._observer,
            ),
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
        self.health.ready(False, "The worker has not joined its consumer group yet.")
        self._client.start()

    def _crash(self, error: BaseException) -> None:
        """Pass on the error that ended one of the worker's threads."""
        self._on_crash(error)

    def _look_at_membership(self) -> None:
        self._membership.look(
            lambda: self._brokers.within(_REQUEST_SECONDS).idle_members(self.application)
        )

    def _applied(self, partitions: Sequence[Partition]) -> Sequence[int]:
        """Through which offset the state holds each partition's records; -1 for none."""
        state = self._stages.predictor.state
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
            ("kafka", lambda: tell_whether_co_partitioned(self._topic_ids.partitions())),
            ("kafka", self._output_topics.check),
            ("kafka", self._stages.publish.check),
            ("redis", partial(ask, self._store.check_access)),
        ]
        self._retry("kafka", lambda: self._brokers.within(_REACH_SECONDS).reach(self.topics))
        try:
            for service, check in checks:
                self._retry(service, check)
        except FatalError as error:
            # A permanent refusal at the start means that the worker's configuration is wrong.
            raise ConfigurationError(str(error)) from error
        self._is_looking = False

    def pipeline(self) -> Pipeline:
        """The path of a record, for the event loop that is running."""
        return Pipeline(
            self._stages, self._deliver_thread, self._observer, depth=self.settings.pipeline_depth
        )

    def chunk_taken(self) -> None:
        """Note that a chunk went into the pipeline as a whole."""
        align = self._stages.align
        self._connected.chunk_done(holding=align.held_records > 0, crowded=align.crowded)
        self._observer.tell(ChunkWorkedOff(align.held_records, align.held_bytes))

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
            self.health.leaving("The worker is stopping.")
            if not self._deliver_thread.settle(None, self.settings.drain_seconds):
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
        self.health.leaving(why)
        self._given_up = True
        self._give_up_waiting()

    def _give_up_waiting(self) -> None:
        self._retry.stop()
        self._stages.recovery.stop()

    @property
    def inside_librdkafka(self) -> str:
        """The calls to the brokers that threads are still inside after everything was stopped."""
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
