"""A worker's life: started, joined to its group, drained, stopped. `assembly` builds what it has."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

from stream_app.config.settings import Settings
from stream_app.features.usecase import UseCase
from stream_app.observer.events import ChunkWorkedOff
from stream_app.records.chunk import Chunk
from stream_app.records.partition import Partition
from stream_app.worker.assembly import assemble
from stream_app.worker.pipeline import Pipeline

__all__ = ["GC_THRESHOLD", "Worker"]

log = logging.getLogger(__name__)

GC_THRESHOLD: Final = 400_000
"""Allocations between two collections of the youngest generation: more than the objects that records
held for their turn consist of, which each collection would walk over in vain (3 us an event)."""
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
        # Faust says who takes chunks and crashes when its consumer subscribes: see `connect`.
        self._on_chunk: Callable[[Chunk], None] = lambda _: None
        self._on_crash: Callable[[BaseException], None] = lambda _: None
        self._parts = assemble(
            settings,
            usecase,
            on_chunk=lambda chunk: self._on_chunk(chunk),
            on_crash=lambda error: self._on_crash(error),
        )
        self.watchdog = self._parts.monitoring.watchdog
        self._given_up = False

    def start(self) -> None:
        """Serve metrics and health; raises `ConfigurationError` where it cannot listen."""
        self._parts.http.start()
        self._parts.opentelemetry.start()
        self._parts.status.start()
        self.watchdog.start()
        # What exists now lives as long as the process: keep the collector from walking it again
        # and again (a third of the CPU time of an event, measured).
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)

    def connect(
        self, on_chunk: Callable[[Chunk], None], on_crash: Callable[[BaseException], None]
    ) -> None:
        """Join the group; chunks are handed over on the client thread, crashes on any thread."""
        self._on_chunk, self._on_crash = on_chunk, on_crash
        parts = self._parts
        parts.monitoring.health.ready(False, "The worker has not joined its consumer group yet.")
        parts.credentials.start()
        parts.end_offsets.start()
        parts.client.start()

    def pipeline(self) -> Pipeline:
        """The path of a record, for the event loop that is running."""
        parts = self._parts
        return Pipeline(
            parts.stages,
            parts.deliver_thread,
            parts.observer,
            depth=self.settings.pipeline_depth,
            on_crash=lambda error: self._on_crash(error),
            on_taken=self._chunk_taken,
            on_delivering=parts.client.delivering,
            more_waits=parts.client.more_waits,
        )

    def _chunk_taken(self) -> None:
        align = self._parts.stages.align
        self._parts.client.chunk_done(holding=align.held_records > 0, crowded=align.crowded)
        self._parts.observer.tell(ChunkWorkedOff(align.held_records, align.held_bytes))

    @property
    def port(self) -> int:
        """Where metrics and health are served, also where any free port was asked for."""
        return self._parts.http.port

    @property
    def partitions(self) -> Sequence[Partition]:
        """The partitions assigned now."""
        return self._parts.client.partitions

    def drain(self) -> None:
        """Finish what is under way within the drain time, commit it and leave the group."""
        parts = self._parts
        if not self._given_up:
            parts.monitoring.health.leaving("The worker is stopping.")
            if not parts.deliver_thread.settle(None, self.settings.drain_seconds):
                log.warning("not all work was finished in time; what is unfinished is read again")
        self._give_up_waiting()
        parts.client.stop()
        if parts.client.is_alive():
            parts.client.join(_LEAVE_SECONDS if parts.preflight.is_over else _NOTICE_SECONDS)
        parts.stages.recovery.join(_LEAVE_SECONDS)
        parts.flood_trials.join(_LEAVE_SECONDS)
        try:
            parts.stages.publish.close()
        except Exception as error:  # noqa: BLE001 - what it did not finish is read again
            log.info("the producer could not be closed in order: %s", error)
        parts.monitoring.failure_log.close()

    def give_up(self, why: str) -> None:
        """End every wait for a service, and say to probes why the worker ends."""
        self._parts.monitoring.health.leaving(why)
        self._given_up = True
        self._give_up_waiting()

    def _give_up_waiting(self) -> None:
        self._parts.retry.stop()
        self._parts.stages.recovery.stop()
        self._parts.flood_trials.stop()

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
        self._parts.client.crashed()

    def stop(self) -> None:
        """Stop serving metrics and health."""
        self._parts.end_offsets.stop()
        self._parts.credentials.stop()
        self.watchdog.stop()
        self._parts.opentelemetry.close()
        self._parts.status.stop()
        self._parts.http.stop()
