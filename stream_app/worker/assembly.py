"""The composition root: all the parts of a worker, and how they know each other.

What several programs are made of is put together in the room it belongs to (`wire/assembly.py` lists what
is written to which topic), and what metrics, health, watchdog and log are told of is listed in
`worker/listeners.py`. A capability that listens is one line of the list that the observer is made of: the
models are loaded by then. One that answers over HTTP is one line of the list of routes: by then everything
exists, and nothing is started.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from stream_app import __version__
from stream_app.alignment.assembly import make_align_stage, make_record_clock
from stream_app.compiled import why_python
from stream_app.config.settings import Settings
from stream_app.crash_isolation.assembly import make_guarded_predictor, make_rebuilding_guard
from stream_app.delivery.assembly import make_publishing
from stream_app.features.stores import Store
from stream_app.features.usecase import UseCase
from stream_app.flood.assembly import make_flood_breaker, make_trial_threads
from stream_app.flood.trial_threads import TrialThreads
from stream_app.kafka.brokers import Brokers, admin_client
from stream_app.kafka.connection_causes import ConnectionCauses
from stream_app.kafka.consumer.client_thread import ClientThread
from stream_app.kafka.consumer.membership import Membership
from stream_app.kafka.consumer.start_positions import StartPositions
from stream_app.kafka.credential_files import CredentialFiles
from stream_app.kafka.end_offsets import EndOffsets
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.kafka.output_topics import OutputTopics
from stream_app.kafka.topic_ids import TopicIds
from stream_app.models import Model, load_models
from stream_app.observer.observer import Observer
from stream_app.otel.assembly import OpenTelemetry, open_telemetry
from stream_app.predictor.decode import Decode
from stream_app.predictor.predictor import Predictor
from stream_app.records.chunk import Chunk
from stream_app.records.partition import Partition
from stream_app.recovery.assembly import make_log_replay
from stream_app.recovery.log_replay import RECORDS_A_STEP
from stream_app.recovery.recovery import Recovery
from stream_app.state.open_store import open_store
from stream_app.state.stage import StateStage
from stream_app.status_page.notes import Notes
from stream_app.status_page.routes import status_routes
from stream_app.status_page.sampling import Sampler
from stream_app.status_page.worker_status import Identity, WorkerStatus
from stream_app.telemetry.http_routes import worker_routes
from stream_app.telemetry.http_server import HttpServer
from stream_app.telemetry.lag import LagCollector
from stream_app.telemetry.logs import worker_name
from stream_app.waiting.retry import Retry
from stream_app.wire.assembly import make_emitters
from stream_app.wire.outgoing import OutgoingRecords
from stream_app.worker.deliver_thread import DeliverThread
from stream_app.worker.listeners import watchdog_listeners
from stream_app.worker.monitoring import Monitoring
from stream_app.worker.pipeline import Stages
from stream_app.worker.preflight import Preflight

__all__ = ["Parts", "assemble"]

log = logging.getLogger(__name__)


_REQUEST_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Parts:
    """What a worker consists of, as far as its life cycle has to do with it."""

    monitoring: Monitoring
    observer: Observer
    http: HttpServer
    opentelemetry: OpenTelemetry
    retry: Retry
    credentials: CredentialFiles
    preflight: Preflight
    deliver_thread: DeliverThread
    stages: Stages
    client: ClientThread
    end_offsets: EndOffsets
    status: Sampler
    flood_trials: TrialThreads


def assemble(
    settings: Settings,
    usecase: UseCase,
    *,
    on_chunk: Callable[[Chunk], None],
    on_crash: Callable[[BaseException], None],
) -> Parts:
    """Build a worker: models are loaded and checked, nothing is connected to, no thread is started.

    `on_chunk` is called by the client thread, `on_crash` by any thread that cannot go on. Raises
    `ConfigurationError`.
    """
    return _Assembly(settings, usecase, on_chunk, on_crash).parts()


class _Assembly:
    """What many parts share, and a method for each part that is built of it."""

    def __init__(
        self,
        settings: Settings,
        usecase: UseCase,
        on_chunk: Callable[[Chunk], None],
        on_crash: Callable[[BaseException], None],
    ) -> None:
        self._settings = settings
        self._usecase = usecase
        self._on_chunk = on_chunk
        self._on_crash = on_crash
        self._application = settings.application or usecase.name
        self._topics = [topic.name for topic in usecase.topics]
        self._causes = ConnectionCauses(settings.bootstrap_servers, secrets=settings.secrets())
        self._monitoring = Monitoring(settings, self._causes)
        # Before the observer, because a listener may need them. A wait while they load is told all the same.
        self._models = self._load_models(self._make_retry(Observer(self._monitoring.listeners)))
        self._opentelemetry = open_telemetry(
            settings, self._application, self._monitoring.metrics.registry
        )
        self._notes = Notes()
        self._observer = Observer(
            [
                *self._monitoring.listeners,
                *self._notes.listeners(),
                *self._opentelemetry.listeners,
            ]
        )
        self._retry = self._make_retry(self._observer)
        made = partial(admin_client, settings, self._causes)
        self._brokers = Brokers(
            made(),
            {**settings.consumer_properties(self._application), "log_level": 0},
            renewed=made,
        )
        self._topic_ids = TopicIds(self._brokers, self._topics)
        self._membership = Membership(self._observer)
        self._tracker = OffsetTracker()

    def parts(self) -> Parts:
        settings, usecase, models = self._settings, self._usecase, self._models
        credentials = CredentialFiles(
            settings.credential_files(),
            check=settings.check_kafka_properties,
            on_changed=self._on_crash,
        )
        emitters = make_emitters(settings, usecase, f"{models[0].name}/{models[0].version}")
        output_topics = OutputTopics(
            self._brokers,
            emitters.in_order,
            max_value_bytes=settings.max_value_bytes,
            transactional=settings.delivery == "exactly_once",
        )
        store = open_store(settings, usecase, self._application, self._brokers)
        isolation, predictor = make_guarded_predictor(
            settings, usecase, models, store, self._tracker, self._retry, self._observer
        )
        publish = make_publishing(
            settings,
            self._application,
            emitters.dead_letters,
            output_topics,
            self._brokers,
            self._causes,
            self._tracker,
            self._retry,
            self._observer,
            # Asked for when there is a client: that waits for batches, and batches are published.
            group_metadata=lambda: client.group_metadata(),
        )
        deliver_thread = DeliverThread(
            publish, self._tracker, self._observer, on_crash=self._on_crash
        )
        preflight = Preflight(
            self._retry, self._brokers, self._topics, self._topic_ids, output_topics, publish, store
        )
        client = self._client(predictor, deliver_thread, preflight)
        align = make_align_stage(settings, self._observer, pause=client.pause, resume=client.resume)
        outgoing = OutgoingRecords(emitters.in_order)
        flood_trials = make_trial_threads(
            settings,
            usecase,
            self._application,
            models,
            store,
            self._brokers,
            outgoing,
            self._retry,
            self._guard(predictor),
            watchdog_listeners(self._monitoring.watchdog),
        )
        stages = Stages(
            clock=make_record_clock(settings, usecase, self._brokers, self._retry, self._observer),
            isolation=isolation,
            align=align,
            predictor=predictor,
            flood=make_flood_breaker(
                settings,
                flood_trials,
                self._tracker,
                align,
                isolation,
                self._observer,
                stop=client.stop_partition,
                go_on=client.go_on,
            ),
            outgoing=outgoing,
            publish=publish,
            recovery=self._recovery(predictor, store, deliver_thread, has_fallback=len(models) > 1),
            tracker=self._tracker,
        )
        end_offsets = EndOffsets(
            self._brokers,
            self._topic_ids,
            self._tracker,
            lambda: client.partitions,
            self._retry,
            when_idle=self._look_at_membership,
            on_crash=self._on_crash,
        )
        self._monitoring.metrics.registry.register(LagCollector(end_offsets.lag))
        status = self._status(end_offsets)
        routes = [
            *worker_routes(self._monitoring.metrics.registry, self._monitoring.health),
            *status_routes(status.document),
        ]
        return Parts(
            self._monitoring,
            self._observer,
            HttpServer(settings.http_host, settings.http_port, routes),
            self._opentelemetry,
            self._retry,
            credentials,
            preflight,
            deliver_thread,
            stages,
            client,
            end_offsets,
            Sampler(status.sample),
            flood_trials,
        )

    def _status(self, end_offsets: EndOffsets) -> WorkerStatus:
        monitoring, models = self._monitoring, self._models
        return WorkerStatus(
            Identity(
                self._application,
                worker_name(self._settings.group_instance_id),
                __version__,
                models[0].name,
                models[0].version,
                tuple(map(str, models)),
            ),
            monitoring.metrics,
            monitoring.health,
            self._notes,
            lags=end_offsets.lag,
            in_hand=monitoring.watchdog.oldest,
        )

    def _make_retry(self, observer: Observer) -> Retry:
        settings = self._settings
        return Retry(
            initial_seconds=settings.backoff_initial_seconds,
            max_seconds=settings.backoff_max_seconds,
            observer=observer,
            refusal_seconds=settings.refusal_seconds,
            explained=self._causes.explained,
        )

    def _load_models(self, retry: Retry) -> list[Model]:
        # Golden events are decoded, and a decoder may ask a service that is away.
        models = retry(
            "a decoder's service", lambda: load_models(self._usecase, self._settings.artifacts)
        )
        self._monitoring.metrics.build(__version__, models[0].name, models[0].version)
        log.info("champion %s; fallbacks: %s", models[0], ", ".join(map(str, models[1:])) or "none")
        if (why := why_python()) is not None:
            log.info("no compiled code is used, the worker runs in Python alone: %s", why)
        return models

    def _recovery(
        self,
        predictor: Predictor,
        store: Store,
        deliver_thread: DeliverThread,
        *,
        has_fallback: bool,
    ) -> Recovery:
        settings = self._settings
        return Recovery(
            predictor.state,
            self._tracker,
            deliver_thread.settle,
            make_log_replay(
                settings,
                self._usecase,
                self._application,
                self._brokers,
                store,
                self._retry,
                self._observer,
                self._guard(predictor),
            ),
            mode=settings.while_rebuilding if has_fallback else "wait",
            in_hand_records=(settings.pipeline_depth + 1) * settings.batch_max_records,
            observer=self._observer,
            on_crash=self._on_crash,
        )

    def _guard(self, predictor: Predictor) -> Callable[[Decode], Decode]:
        """What keeps a record that ends the process out of what is read beside the work."""
        return make_rebuilding_guard(
            self._settings,
            predictor,
            self._tracker,
            self._retry,
            self._observer,
            region_records=RECORDS_A_STEP,
        )

    def _client(
        self, predictor: Predictor, deliver_thread: DeliverThread, preflight: Preflight
    ) -> ClientThread:
        settings = self._settings
        return ClientThread(
            self._causes.watched(
                settings.consumer_properties(
                    self._application, worker_name(settings.group_instance_id)
                )
            ),
            self._topics,
            on_chunk=self._on_chunk,
            on_crash=self._on_crash,
            observer=self._observer,
            membership=self._membership,
            before_joining=preflight,
            tracker=self._tracker,
            settle=deliver_thread.settle,
            positions=StartPositions(
                self._brokers,
                self._topic_ids,
                self._retry,
                starts_at=settings.starts_at,
                on_gone=settings.on_gone,
                applied=partial(_applied, predictor.state),
                observer=self._observer,
            ),
            poll_max_records=settings.poll_max_records,
            linger_seconds=settings.linger_seconds,
            commit_interval_seconds=settings.commit_interval_seconds,
            chunk_buffer=settings.chunk_buffer,
            revoke_seconds=settings.drain_seconds,
            beside_transactions=settings.delivery == "exactly_once",
            refusal_seconds=settings.refusal_seconds,
            isolation_starts=settings.crash_isolation_starts,
            tick_seconds=min(0.1, max(0.005, settings.alignment_grace_seconds / 4)),
        )

    def _look_at_membership(self) -> None:
        self._membership.look(
            lambda: self._brokers.within(_REQUEST_SECONDS).idle_members(self._application)
        )


def _applied(state: StateStage, partitions: Sequence[Partition]) -> Sequence[int]:
    """Through which offset the state holds each partition's records; -1 for none."""
    if not state.has_views:
        return [-1] * len(partitions)
    state.register(dict.fromkeys(partitions, 0))
    return state.applied(partitions)
